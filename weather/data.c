/* SPDX-License-Identifier: Apache-2.0
 *
 * How a sample is found: attempts j = 0, 1, ... draw a sequence (by its share of all places), a
 * first frame and a corner, from Philox keyed by (seed, index, j), until one is accepted. What
 * acceptance needs is summed once for blocks of 8x8 cells of each frame, so that an attempt costs a
 * few hundred additions; corners are therefore multiples of 8. A crop that moves may turn out to
 * leave what was measured; then the attempts go on.
 */
#include "weather/data.h"

#include <libgen/random.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/trace.h"

#define BLOCK 8
#define ATTEMPTS 20000 /* then a sample is given up */
#define LAST_TRIES 2000 /* of these, which take any crop that is measured, as where all is dry */
#define STEP 128       /* packed values to a mm/h */
#define MISSING UINT16_MAX

/* Of a block: measured cells, and the sum over them of 1 - exp(-rain/s). */
typedef struct block {
    float rain;
    float measured;
} block;

typedef struct place {
    int64_t frames, height, width, rows, columns; /* rows, columns of blocks, whole ones */
    int64_t step;
    int64_t start;  /* time of the first frame */
    uint16_t *rain; /* [frames,height,width] */
    block *blocks;  /* [frames,rows,columns] */
    char *source;
    double share; /* of the places where a crop may begin, this and those before */
    int64_t held; /* where the band that is held out begins, in blocks; it is one crop wide */
    gen_motion *motions; /* by first frame of a sample; u is NULL until it is needed */
} place;

/* A sample that a thread has made, or makes. */
typedef struct slot {
    int64_t index; /* -1: none */
    bool ready;
    float *rain, *mask;
    gen_sample_origin origin;
    gen_status status;
    char sentence[400];
} slot;

struct gen_samples {
    gen_samples_options o;
    place *places;
    int n;
    int64_t cells;  /* of a sample */
    slot *slots;    /* [ahead]; sample i lies in slot i % ahead */
    int64_t next;   /* first sample that nobody makes yet */
    int64_t wanted; /* the last one asked for */
    bool stop;
    pthread_mutex_t motion_lock; /* of the places' motions */
    pthread_mutex_t lock;        /* of slots, next, wanted, stop */
    pthread_cond_t work, done;
    pthread_t *threads;
    int running;
};

/* ---- preparation --------------------------------------------------------------------------- */

static void add_blocks(place *p, const gen_samples_options *o)
{
    for (int64_t t = 0; t < p->frames; t++)
        for (int64_t y = 0; y < p->rows * BLOCK; y++) {
            const uint16_t *line = p->rain + (t * p->height + y) * p->width;
            block *to = p->blocks + (t * p->rows + y / BLOCK) * p->columns;
            for (int64_t x = 0; x < p->columns * BLOCK; x++)
                if (line[x] != MISSING) {
                    float rain = (float)line[x] / STEP;
                    to[x / BLOCK].measured++;
                    to[x / BLOCK].rain += line[x] ? 1 - expf(-rain / (float)o->s) : 0;
                }
        }
}

/* Columns that hold a measured cell: [*from,*to), in blocks. All where none does. */
static void measured_columns(const place *p, int64_t *from, int64_t *to)
{
    *from = p->columns;
    *to = 0;
    for (int64_t i = 0; i < p->frames * p->rows * p->columns; i++)
        if (p->blocks[i].measured > 0) {
            int64_t column = i % p->columns;
            *from = column < *from ? column : *from;
            *to = column + 1 > *to ? column + 1 : *to;
        }
    if (*to == 0) {
        *from = 0;
        *to = p->columns;
    }
}

/* Places in a row where a crop may begin, 8 columns apart, west of what is held out. */
static int64_t west_of_held(const place *p, int64_t side)
{
    return p->held < side ? 0 : p->held - side + 1;
}

/* How many there are in all for a part. */
static int64_t places_in_row(const place *p, const gen_samples_options *o)
{
    int64_t side = o->size / BLOCK, east = p->columns - side + 1 - (p->held + side);
    if (o->part == GEN_SAMPLES_VALIDATE)
        return 1;
    if (o->part == GEN_SAMPLES_ALL)
        return p->columns - side + 1;
    return west_of_held(p, side) + (east > 0 ? east : 0);
}

/* The column where the i-th of them lies, in blocks. */
static int64_t place_in_row(const place *p, const gen_samples_options *o, int64_t i)
{
    int64_t side = o->size / BLOCK, west = west_of_held(p, side);
    if (o->part == GEN_SAMPLES_VALIDATE)
        return p->held;
    return o->part == GEN_SAMPLES_ALL || i < west ? i : p->held + side + i - west;
}

static gen_status hold_out(place *p, const gen_samples_options *o)
{
    int64_t from, to, side = o->size / BLOCK;
    measured_columns(p, &from, &to);
    p->held = from + (to - from) * 3 / 4 - side / 2;
    p->held = p->held < 0 ? 0 : p->held + side > p->columns ? p->columns - side : p->held;
    gen_samples_options train = *o;
    train.part = GEN_SAMPLES_TRAIN;
    if (places_in_row(p, &train) > 0)
        return GEN_OK;
    return gen_fail(GEN_EDATA, "'%s' has %lld columns: too few to hold out %lld and train on %lld",
                    p->source, (long long)p->width, (long long)o->size, (long long)o->size);
}

static gen_status pack(place *p, const gen_radar_sequence *s, const gen_samples_options *o)
{
    int64_t kept = (s->frames + o->stride - 1) / o->stride, cells = s->grid.height * s->grid.width;
    *p = (place){ .frames = kept,
                  .height = s->grid.height,
                  .width = s->grid.width,
                  .rows = s->grid.height / BLOCK,
                  .columns = s->grid.width / BLOCK,
                  .step = s->step * o->stride,
                  .start = s->time[0] };
    GEN_TRY(gen_strdup(&p->source, s->source ? s->source : ""));
    if (kept < o->frames || s->grid.height < o->size || s->grid.width < o->size)
        return gen_fail(GEN_EDATA,
                        "'%s' has %lld frames of %lld x %lld cells, a sample needs %lld of %lld x "
                        "%lld",
                        p->source, (long long)kept, (long long)p->height, (long long)p->width,
                        (long long)o->frames, (long long)o->size, (long long)o->size);
    GEN_TRY(gen_alloc_raw((void **)&p->rain, (uint64_t)(kept * cells), sizeof *p->rain,
                          "training data"));
    GEN_TRY(GEN_ALLOC(&p->blocks, kept * p->rows * p->columns, "training data"));
    for (int64_t t = 0; t < kept; t++)
        for (int64_t i = 0; i < cells; i++) {
            double v = (double)s->rain[t * o->stride * cells + i];
            p->rain[t * cells + i] =
                isnan(v) ? MISSING : (uint16_t)lround(fmin(fmax(v, 0), o->cap) * STEP);
        }
    add_blocks(p, o);
    if (o->moving)
        GEN_TRY(GEN_ALLOC(&p->motions, kept - o->frames + 1, "training data"));
    return o->part == GEN_SAMPLES_ALL ? GEN_OK : hold_out(p, o);
}

static gen_status check_options(gen_samples_options *o)
{
    o->stride = o->stride ? o->stride : 1;
    o->cap = o->cap > 0 ? o->cap : 128;
    o->q_min = o->q_min > 0 ? o->q_min : 2e-4;
    o->m = o->m > 0 ? o->m : 0.1;
    o->s = o->s > 0 ? o->s : 1;
    o->missing = o->missing < 0 ? 0 : o->missing > 0 ? o->missing : 0.1;
    o->threads = o->threads > 0 ? o->threads : 1;
    o->ahead = o->ahead > 0 ? o->ahead : 16;
    if (o->frames < 1 || o->size < BLOCK || o->size % BLOCK != 0 || o->stride < 1)
        return gen_fail(GEN_EINVAL,
                        "samples of %lld frames of %lld cells a side: expected 1 or more, of a "
                        "multiple of %d",
                        (long long)o->frames, (long long)o->size, BLOCK);
    int64_t least = o->moving ? 2 : 0;
    if (o->context < least || o->context > o->frames)
        return gen_fail(GEN_EINVAL,
                        "samples of %lld frames with a context of %lld, expected %lld or more of "
                        "them",
                        (long long)o->frames, (long long)o->context, (long long)least);
    if (o->cap > (MISSING - 1) / STEP)
        return gen_fail(GEN_EINVAL, "samples: a cap of %g mm/h, expected at most %d", o->cap,
                        (MISSING - 1) / STEP);
    return GEN_OK;
}

/* ---- one sample ---------------------------------------------------------------------------- */

static int64_t below(uint32_t word, int64_t n)
{
    return (int64_t)((uint64_t)word * (uint64_t)n >> 32);
}

/* The chance that a crop is taken, as if it did not move; 0 where too much is missing. Corner in
 * blocks. */
static double chance(const gen_samples *s, const place *p, int64_t first, int64_t row,
                     int64_t column)
{
    int64_t side = s->o.size / BLOCK;
    int64_t drawn_by = s->o.context ? s->o.context : s->o.frames;
    double rain = 0, measured = 0, of_rain = 0;
    for (int64_t t = 0; t < s->o.frames; t++) {
        for (int64_t j = row; j < row + side; j++) {
            const block *b = p->blocks + ((first + t) * p->rows + j) * p->columns + column;
            for (int64_t i = 0; i < side; i++) {
                rain += t < drawn_by ? (double)b[i].rain : 0;
                measured += (double)b[i].measured;
            }
        }
        if (t == drawn_by - 1)
            of_rain = measured;
    }
    if (measured < (1 - s->o.missing) * (double)s->cells || of_rain == 0)
        return 0;
    return fmin(1, s->o.q_min + s->o.m * rain / of_rain);
}

/* Cells of frame t; NaN where nothing was measured, and what is held out from training. */
static void unpack(const gen_samples *s, const place *p, int64_t t, const gen_rectangle *r,
                   float *out)
{
    int64_t from = p->held * BLOCK - r->column, to = from + s->o.size;
    from = s->o.part != GEN_SAMPLES_TRAIN ? r->width : from < 0 ? 0 : from;
    to = to < r->width ? to : r->width;
    for (int64_t y = 0; y < r->height; y++, out += r->width) {
        const uint16_t *line = p->rain + (t * p->height + r->row + y) * p->width + r->column;
        for (int64_t x = 0; x < r->width; x++)
            out[x] = line[x] == MISSING ? NAN : (float)line[x] / STEP;
        for (int64_t x = from; x < to; x++)
            out[x] = NAN;
    }
}

/* Where cell (y, x) of n x n lies after a turn. */
static int64_t turned(int64_t y, int64_t x, int64_t n, int turn)
{
    x = turn & 4 ? n - 1 - x : x;
    for (int q = turn & 3; q; q--) { /* a quarter to the left */
        int64_t w = x;
        x = y;
        y = n - 1 - w;
    }
    return y * n + x;
}

/* A frame of a sample, turned; adds to *measured. */
static void put(float *rain, float *mask, const float *frame, int64_t n, int turn,
                int64_t *measured)
{
    const int64_t origin = turned(0, 0, n, turn), along = turned(0, 1, n, turn) - origin,
                  down = turned(1, 0, n, turn) - origin;
    for (int64_t y = 0; y < n; y++)
        for (int64_t x = 0; x < n; x++, frame++) {
            int64_t to = origin + y * down + x * along;
            bool known = !isnan(*frame);
            mask[to] = known ? 1 : 0;
            rain[to] = known ? *frame : 0;
            *measured += known;
        }
}

/* The motion of the samples that begin at a frame: of all columns, whatever the part. */
static gen_status motion_of(gen_samples *s, place *p, int64_t first, const gen_motion **motion)
{
    gen_status status = GEN_OK;
    float *frames = NULL;
    gen_motion *m = &p->motions[first];
    const int64_t n = s->o.context < GEN_MOTION_FRAMES ? s->o.context : GEN_MOTION_FRAMES;
    const int64_t cells = p->height * p->width, from = (first + s->o.context - n) * cells;
    *motion = m;
    pthread_mutex_lock(&s->motion_lock);
    if (m->u)
        goto done;
    GEN_GOTO(
        gen_alloc_raw((void **)&frames, (uint64_t)(n * cells), sizeof *frames, "motion: frames"));
    for (int64_t i = 0; i < n * cells; i++)
        frames[i] = p->rain[from + i] == MISSING ? NAN : (float)p->rain[from + i] / STEP;
    GEN_GOTO(gen_motion_estimate(m, frames, n, p->height, p->width, NULL));
done:
    pthread_mutex_unlock(&s->motion_lock);
    gen_free(frames);
    return status;
}

/* A sample that is being made. */
typedef struct cutting {
    const gen_samples *s;
    const place *p;
    int64_t first; /* its first frame */
    gen_rectangle crop;
    int turn;
    float *frame; /* [size,size] */
    float *rain, *mask;
    int64_t measured; /* cells, of those that were put */
} cutting;

static void put_frame(cutting *c, int64_t t)
{
    int64_t n = c->s->o.size;
    put(c->rain + t * n * n, c->mask + t * n * n, c->frame, n, c->turn, &c->measured);
}

/* The newest frame of the context and those before it (`back` 1), or those behind it (-1), as they
 * are seen along the motion. */
static gen_status follow(cutting *c, const gen_motion *m, int back)
{
    gen_status status;
    gen_trace trace;
    float *source = NULL;
    GEN_TRY(gen_trace_create(&trace, m, &c->crop, 1));
    int64_t t = c->s->o.context - 1;
    if (back < 0) { /* which is there already */
        gen_trace_step(&trace, m, -1, NULL);
        t++;
    }
    for (; t >= 0 && t < c->s->o.frames; t -= back) {
        gen_rectangle reach = gen_trace_reach(&trace);
        GEN_GOTO(gen_alloc_raw((void **)&source, (uint64_t)(reach.height * reach.width),
                               sizeof *source, "a sample"));
        unpack(c->s, c->p, c->first + t, &reach, source);
        gen_trace_warp(c->frame, &trace, source, GEN_TRACE_CUBIC, NULL);
        put_frame(c, t);
        gen_free(source);
        source = NULL;
        gen_trace_step(&trace, m, (float)back, NULL);
    }
    status = GEN_OK;
done:
    gen_trace_free(&trace);
    return status;
}

/* All frames of a sample. */
static gen_status cut(gen_samples *s, place *p, cutting *c)
{
    gen_status status = GEN_OK;
    const gen_motion *m;
    GEN_GOTO(GEN_ALLOC(&c->frame, s->o.size * s->o.size, "a sample"));
    if (s->o.moving) {
        GEN_GOTO(motion_of(s, p, c->first, &m));
        GEN_GOTO(follow(c, m, 1));
        GEN_GOTO(follow(c, m, -1));
    }
    for (int64_t t = 0; t < s->o.frames && !s->o.moving; t++) {
        unpack(s, p, c->first + t, &c->crop, c->frame);
        put_frame(c, t);
    }
done:
    gen_free(c->frame);
    return status;
}

static gen_status make(gen_samples *s, int64_t index, float *rain, float *mask,
                       gen_sample_origin *origin)
{
    const uint64_t stream = gen_stream("nowcast.samples");
    const int64_t size = s->o.size;
    for (uint64_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint64_t at = 2 * ((uint64_t)index * ATTEMPTS + attempt);
        uint32_t a[4], b[4];
        gen_philox(a, s->o.seed, stream, at);
        gen_philox(b, s->o.seed, stream, at + 1);
        int k = 0;
        while (k < s->n - 1 && (double)a[0] / 4294967296.0 >= s->places[k].share)
            k++;
        place *p = &s->places[k];
        int64_t first = below(a[1], p->frames - s->o.frames + 1);
        int64_t row = below(a[2], p->rows - size / BLOCK + 1);
        int64_t column = place_in_row(p, &s->o, below(a[3], places_in_row(p, &s->o)));
        double draw = attempt < ATTEMPTS - LAST_TRIES ? (double)b[0] / 4294967296.0 : 0, q;
        if (draw >= s->o.q_min + s->o.m) /* no rain could be enough */
            continue;
        q = chance(s, p, first, row, column);
        if (draw >= q)
            continue;
        cutting c = { .s = s,
                      .p = p,
                      .first = first,
                      .crop = { row * BLOCK, column * BLOCK, size, size },
                      .turn = s->o.as_is ? 0 : (int)(b[1] >> 29),
                      .rain = rain,
                      .mask = mask };
        GEN_TRY(cut(s, p, &c));
        if ((double)c.measured < (1 - s->o.missing) * (double)s->cells)
            continue;
        *origin = (gen_sample_origin){ .source = p->source,
                                       .time = p->start + first * p->step,
                                       .row = c.crop.row,
                                       .column = c.crop.column,
                                       .turn = c.turn,
                                       .q = q };
        return GEN_OK;
    }
    return gen_fail(GEN_EDATA,
                    "no crop of %lld x %lld cells was found in %d tries with less than "
                    "%g %% missing",
                    (long long)size, (long long)size, ATTEMPTS, 100 * s->o.missing);
}

/* ---- in the background --------------------------------------------------------------------- */

static void *work(void *cookie)
{
    gen_samples *s = cookie;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        slot *k = &s->slots[s->next % s->o.ahead];
        if (s->next >= s->wanted + s->o.ahead || !k->ready) {
            pthread_cond_wait(&s->work, &s->lock);
            continue;
        }
        k->index = s->next++;
        k->ready = false;
        pthread_mutex_unlock(&s->lock);
        k->status = make(s, k->index, k->rain, k->mask, &k->origin);
        if (k->status != GEN_OK) /* the sentence belongs to this thread */
            strncpy(k->sentence, gen_last_error(), sizeof k->sentence - 1);
        pthread_mutex_lock(&s->lock);
        k->ready = true;
        pthread_cond_broadcast(&s->done);
        pthread_cond_broadcast(&s->work); /* who waits for this slot to make another */
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

gen_status gen_samples_get(gen_samples *s, int64_t index, float *rain, float *mask,
                           gen_sample_origin *origin)
{
    if (index < 0)
        return gen_fail(GEN_EINVAL, "sample %lld: expected 0 or more", (long long)index);
    pthread_mutex_lock(&s->lock);
    if (index < s->wanted || index > s->wanted + s->o.ahead || index < s->next - s->o.ahead)
        s->next = index; /* another place: what was made ahead is of no use */
    s->wanted = index;
    slot *k = &s->slots[index % s->o.ahead];
    if (s->next > index && k->index != index)
        s->next = index;
    pthread_cond_broadcast(&s->work);
    while (k->index != index || !k->ready)
        pthread_cond_wait(&s->done, &s->lock);
    size_t bytes = (size_t)s->cells * sizeof(float);
    memcpy(rain, k->rain, bytes);
    memcpy(mask, k->mask, bytes);
    if (origin)
        *origin = k->origin;
    gen_status status = k->status ? gen_fail(k->status, "%s", k->sentence) : GEN_OK;
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static gen_status start(gen_samples *s)
{
    GEN_TRY(GEN_ALLOC(&s->slots, s->o.ahead, "samples"));
    for (int i = 0; i < s->o.ahead; i++) {
        s->slots[i].index = -1;
        s->slots[i].ready = true;
        GEN_TRY(GEN_ALLOC(&s->slots[i].rain, s->cells, "a sample"));
        GEN_TRY(GEN_ALLOC(&s->slots[i].mask, s->cells, "a sample"));
    }
    GEN_TRY(GEN_ALLOC(&s->threads, s->o.threads, "threads"));
    for (; s->running < s->o.threads; s->running++)
        if (pthread_create(&s->threads[s->running], NULL, work, s) != 0)
            return gen_fail(GEN_ENOMEM, "cannot start a thread for samples");
    return GEN_OK;
}

/* Shares of the places where a crop may begin. */
static void set_shares(gen_samples *s)
{
    double sum = 0;
    int64_t side = s->o.size / BLOCK;
    for (int k = 0; k < s->n; k++) {
        const place *p = &s->places[k];
        sum += (double)(p->frames - s->o.frames + 1) * (double)(p->rows - side + 1) *
               (double)places_in_row(p, &s->o);
        s->places[k].share = sum;
    }
    for (int k = 0; k < s->n; k++)
        s->places[k].share /= sum;
}

gen_status gen_samples_create(gen_samples **out, gen_radar_sequence **sequences, int n,
                              const gen_samples_options *options)
{
    gen_status status;
    gen_samples *s = NULL;
    *out = NULL;
    GEN_GOTO(GEN_ALLOC(&s, 1, "samples"));
    s->o = *options;
    s->wanted = -1;
    pthread_mutex_init(&s->motion_lock, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->done, NULL);
    GEN_GOTO(check_options(&s->o));
    s->cells = s->o.frames * s->o.size * s->o.size;
    if (n < 1)
        GEN_GOTO(gen_fail(GEN_EDATA, "samples: no sequence given"));
    GEN_GOTO(GEN_ALLOC(&s->places, n, "training data"));
    for (; s->n < n; gen_radar_free(&sequences[s->n - 1])) {
        s->n++;
        GEN_GOTO(pack(&s->places[s->n - 1], sequences[s->n - 1], &s->o));
    }
    set_shares(s);
    GEN_GOTO(start(s));
    *out = s;
    s = NULL;
done:
    gen_samples_free(&s);
    for (int i = 0; i < n; i++)
        gen_radar_free(&sequences[i]);
    return status;
}

void gen_samples_free(gen_samples **samples)
{
    gen_samples *s = *samples;
    *samples = NULL;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->running; i++)
        pthread_join(s->threads[i], NULL);
    for (int i = 0; s->slots && i < s->o.ahead; i++) {
        gen_free(s->slots[i].rain);
        gen_free(s->slots[i].mask);
    }
    for (int k = 0; s->places && k < s->n; k++) {
        const place *p = &s->places[k];
        for (int64_t i = 0; p->motions && i <= p->frames - s->o.frames; i++)
            gen_motion_free(&p->motions[i]);
        gen_free(s->places[k].motions);
        gen_free(s->places[k].rain);
        gen_free(s->places[k].blocks);
        gen_free(s->places[k].source);
    }
    pthread_mutex_destroy(&s->motion_lock);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->done);
    gen_free(s->slots);
    gen_free(s->threads);
    gen_free(s->places);
    gen_free(s);
}
