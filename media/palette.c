/* SPDX-License-Identifier: Apache-2.0
 *
 * A frame's colours are counted in a hash table. When they are too many, the box of colours with
 * the largest spread (squared distance from its mean, summed over its pixels) is cut at its mean,
 * along its widest channel, until there are 256 boxes. A box takes the colour of most of its
 * pixels, or else its mean. Flat areas, of which maps consist, so keep their colours; the many
 * greys of smooth text share the rest.
 */
#include "media/palette.h"

#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"

#define SLOTS (1 << 17)
#define MAX_COLOURS (SLOTS / 2) /* of a frame; with more, low bits are dropped */

typedef struct colour {
    uint32_t rgb;
    int entry; /* of the palette */
    int64_t pixels;
} colour;

typedef struct census {
    colour *colour; /* [n] */
    int32_t *slot;  /* [SLOTS] number of a colour + 1; 0 = free */
    int32_t *order; /* [n] colours, box by box */
    int n;
    uint32_t mask; /* the bits of a colour that count */
} census;

typedef struct box {
    int first, n;
    int64_t pixels;
    double mean[3], spread[3];
} box;

static int channel(uint32_t rgb, int k)
{
    return (int)(rgb >> (16 - 8 * k) & 255);
}

/* ---- counting ------------------------------------------------------------------------------ */

static int32_t *slot_of(const census *c, uint32_t rgb)
{
    uint32_t s = (rgb * 2654435761u) >> 15;
    while (c->slot[s] && c->colour[c->slot[s] - 1].rgb != rgb)
        s = (s + 1) % SLOTS;
    return &c->slot[s];
}

static uint32_t pixel(const census *c, const uint8_t *rgb)
{
    return ((uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2]) & c->mask;
}

/* False when there are more than MAX_COLOURS. */
static bool count(census *c, const uint8_t *rgb, int64_t pixels)
{
    memset(c->slot, 0, SLOTS * sizeof *c->slot);
    c->n = 0;
    for (int64_t i = 0, run; i < pixels; i += run) {
        uint32_t v = pixel(c, rgb + 3 * i);
        for (run = 1; i + run < pixels && pixel(c, rgb + 3 * (i + run)) == v;)
            run++;
        int32_t *slot = slot_of(c, v);
        if (!*slot && c->n == MAX_COLOURS)
            return false;
        if (!*slot) {
            c->colour[c->n] = (colour){ .rgb = v, .entry = -1 };
            *slot = ++c->n;
        }
        c->colour[*slot - 1].pixels += run;
    }
    return true;
}

/* ---- too many colours ------------------------------------------------------------------------ */

static void measure(const census *c, box *b)
{
    double sum[3] = { 0 };
    b->pixels = 0;
    for (int i = b->first; i < b->first + b->n; i++) {
        const colour *v = &c->colour[c->order[i]];
        b->pixels += v->pixels;
        for (int k = 0; k < 3; k++)
            sum[k] += (double)v->pixels * channel(v->rgb, k);
    }
    for (int k = 0; k < 3; k++) {
        b->mean[k] = sum[k] / (double)b->pixels;
        b->spread[k] = 0;
        for (int i = b->first; i < b->first + b->n; i++) {
            const colour *v = &c->colour[c->order[i]];
            double d = channel(v->rgb, k) - b->mean[k];
            b->spread[k] += (double)v->pixels * d * d;
        }
    }
}

/* Colours up to the mean of the widest channel stay, the others go to the new box. */
static void cut(census *c, box *b, box *other)
{
    int k = b->spread[0] >= b->spread[1] ? 0 : 1, low = b->first, high = b->first + b->n;
    if (b->spread[2] > b->spread[k])
        k = 2;
    while (low < high) {
        int32_t v = c->order[low];
        if (channel(c->colour[v].rgb, k) <= b->mean[k])
            low++;
        else {
            c->order[low] = c->order[--high];
            c->order[high] = v;
        }
    }
    *other = (box){ .first = low, .n = b->first + b->n - low };
    b->n = low - b->first;
    measure(c, b);
    measure(c, other);
}

static uint32_t colour_of(const census *c, const box *b)
{
    uint32_t mean = 0;
    for (int k = 0; k < 3; k++)
        mean = mean << 8 | (uint32_t)(b->mean[k] + 0.5);
    for (int i = b->first; i < b->first + b->n; i++)
        if (2 * c->colour[c->order[i]].pixels > b->pixels)
            return c->colour[c->order[i]].rgb;
    return mean;
}

static void share(census *c, gen_palette *p)
{
    box boxes[256];
    int n = 1;
    for (int i = 0; i < c->n; i++)
        c->order[i] = i;
    boxes[0] = (box){ .n = c->n };
    measure(c, &boxes[0]);
    while (n < 256) {
        int widest = 0;
        double most = 0;
        for (int i = 0; i < n; i++) {
            double spread = boxes[i].spread[0] + boxes[i].spread[1] + boxes[i].spread[2];
            if (boxes[i].n > 1 && spread > most) {
                most = spread;
                widest = i;
            }
        }
        cut(c, &boxes[widest], &boxes[n]);
        n++;
    }
    p->n = n;
    for (int b = 0; b < n; b++) {
        p->colour[b] = colour_of(c, &boxes[b]);
        for (int i = boxes[b].first; i < boxes[b].first + boxes[b].n; i++)
            c->colour[c->order[i]].entry = b;
    }
}

/* ---- the palette --------------------------------------------------------------------------- */

/* Colours that the palette lacks are added; false when they do not fit. */
static bool add(census *c, gen_palette *p)
{
    int n = p->n;
    if (c->n > 256)
        return false;
    for (int i = 0; i < c->n; i++) {
        int e = 0;
        while (e < n && p->colour[e] != c->colour[i].rgb)
            e++;
        if (e == 256)
            return false;
        if (e == n)
            p->colour[n++] = c->colour[i].rgb;
        c->colour[i].entry = e;
    }
    p->n = n;
    return true;
}

gen_status gen_palette_apply(gen_palette *p, const uint8_t *rgb, int64_t pixels, uint8_t *index)
{
    gen_status status;
    census c = { .mask = 0xffffff };
    GEN_GOTO(GEN_ALLOC(&c.slot, SLOTS, "colours"));
    GEN_GOTO(GEN_ALLOC(&c.colour, MAX_COLOURS, "colours"));
    GEN_GOTO(GEN_ALLOC(&c.order, MAX_COLOURS, "colours"));
    for (uint32_t low = 0xff; !count(&c, rgb, pixels);) {
        low = low << 1 & 0xff;
        c.mask = low * 0x010101u;
    }
    if (!add(&c, p)) {
        p->renewed = p->renewed || p->n > 0;
        p->n = 0;
        if (!add(&c, p))
            share(&c, p);
    }
    for (int64_t i = 0; i < pixels; i++)
        index[i] = (uint8_t)c.colour[*slot_of(&c, pixel(&c, rgb + 3 * i)) - 1].entry;
done:
    gen_free(c.slot);
    gen_free(c.colour);
    gen_free(c.order);
    return status;
}
