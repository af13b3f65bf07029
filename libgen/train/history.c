/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a training, read line by line into tables: lines by kind, their numbers in one array.
 * Trees of JSON live for one line only: a day of them would take gigabytes.
 */
#include "libgen/train/history.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"
#include "libgen/base/json.h"
#include "libgen/base/map.h"

#define MAX_STEP (INT64_C(1) << 53)

static const char *const kind_names[GEN_HISTORY_KINDS] = { "start", "step", "validation", "event" };

/* The numbers at one path of one line. */
typedef struct item {
    uint64_t at; /* in values */
    int name, n;
} item;

typedef struct list {
    gen_history_line *line;
    uint64_t n, capacity;
} list;

struct gen_history {
    list kind[GEN_HISTORY_KINDS];
    item *items;
    uint64_t n_items, items_capacity;
    double *values;
    uint64_t n_values, values_capacity;
    const char *name[GEN_HISTORY_MAX_NAMES];
    unsigned in[GEN_HISTORY_MAX_NAMES]; /* kinds of lines that hold and have it, as bits */
    int names;
    gen_map index; /* of names, from 1 */
    gen_arena texts;
    int64_t broken;
    char sentence[600]; /* about the first of them */
    bool cut;
};

/* ---- the numbers of a line ------------------------------------------------------------------- */

static gen_status find_name(gen_history *h, const char *path, int *out)
{
    uintptr_t found = (uintptr_t)gen_map_get(&h->index, path);
    *out = (int)found - 1;
    if (found)
        return GEN_OK;
    if (h->names == GEN_HISTORY_MAX_NAMES)
        return gen_fail(GEN_EDATA, "more than %d different names of numbers, '%.40s' is one",
                        GEN_HISTORY_MAX_NAMES, path);
    if (!(h->name[h->names] = gen_arena_printf(&h->texts, "%s", path)))
        return GEN_ENOMEM;
    *out = h->names++;
    return gen_map_set(&h->index, path, (void *)(uintptr_t)h->names);
}

static bool is_number(const gen_json *v)
{
    return gen_json_kind_of(v) == GEN_JSON_NUMBER || gen_json_kind_of(v) == GEN_JSON_NULL;
}

static gen_status add_value(gen_history *h, const gen_json *v)
{
    double x = NAN;
    if (gen_json_kind_of(v) == GEN_JSON_NUMBER)
        GEN_TRY(gen_json_real(v, NULL, &x));
    GEN_TRY(GEN_GROW(&h->values, &h->values_capacity, h->n_values + 1));
    h->values[h->n_values++] = x;
    return GEN_OK;
}

/* A number, or an array of numbers. */
static gen_status add_item(gen_history *h, const char *path, const gen_json *v)
{
    item i = { .at = h->n_values };
    GEN_TRY(find_name(h, path, &i.name));
    if (is_number(v))
        GEN_TRY(add_value(h, v));
    else
        for (const gen_json *c = gen_json_first(v); c; c = gen_json_next(c))
            GEN_TRY(add_value(h, c));
    i.n = (int)(h->n_values - i.at);
    if (h->n_values + h->n_items >= GEN_HISTORY_MAX_NUMBERS)
        return gen_fail(GEN_EDATA, "more than %u numbers", GEN_HISTORY_MAX_NUMBERS);
    GEN_TRY(GEN_GROW(&h->items, &h->items_capacity, h->n_items + 1));
    h->items[h->n_items++] = i;
    return GEN_OK;
}

static bool all_numbers(const gen_json *v)
{
    for (const gen_json *c = gen_json_first(v); c; c = gen_json_next(c))
        if (!is_number(c))
            return false;
    return true;
}

/* As deep as GEN_JSON_MAX_DEPTH. path: of `object`, "" or with '/' at its end. */
static gen_status add_numbers(gen_history *h, const char *path, const gen_json *object)
{
    char name[GEN_HISTORY_MAX_NAME + 2];
    for (const gen_json *v = gen_json_first(object); v; v = gen_json_next(v)) {
        gen_json_kind kind = gen_json_kind_of(v);
        bool deeper = kind == GEN_JSON_OBJECT;
        int n = snprintf(name, sizeof name, "%s%s%s", path, gen_json_key(v), deeper ? "/" : "");
        if (n > GEN_HISTORY_MAX_NAME)
            continue;
        if (deeper)
            GEN_TRY(add_numbers(h, name, v));
        else if (is_number(v) || (kind == GEN_JSON_ARRAY && all_numbers(v)))
            GEN_TRY(add_item(h, name, v));
    }
    return GEN_OK;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static gen_status keep_text(gen_history *h, const gen_json *object, const char *key,
                            const char **out)
{
    const gen_json *v = gen_json_get(object, key);
    const char *text = "";
    if (v && gen_json_kind_of(v) == GEN_JSON_STRING)
        GEN_TRY(gen_json_string(v, NULL, &text));
    *out = *text ? gen_arena_printf(&h->texts, "%s", text) : "";
    return *out ? GEN_OK : GEN_ENOMEM;
}

/* Drops lines of a kind from `step` on. */
static void replace(list *l, int64_t step)
{
    while (l->n > 0 && l->line[l->n - 1].step >= step)
        l->n--;
}

static gen_status add_line(gen_history *h, gen_history_kind kind, const gen_json *object,
                           int64_t number)
{
    gen_history_line line = { .number = number, .first = h->n_items };
    GEN_TRY(gen_json_int(object, "step", 0, MAX_STEP, &line.step));
    if (gen_json_get(object, "resumed"))
        GEN_TRY(gen_json_bool(object, "resumed", &line.resumed));
    GEN_TRY(keep_text(h, object, "time", &line.time));
    GEN_TRY(keep_text(h, object, "what", &line.what));
    GEN_TRY(keep_text(h, object, "text", &line.text));
    GEN_TRY(add_numbers(h, "", object));
    line.items = (int)(h->n_items - line.first);
    if (kind != GEN_HISTORY_EVENT) {
        replace(&h->kind[GEN_HISTORY_STEP], line.step + (kind != GEN_HISTORY_STEP));
        replace(&h->kind[GEN_HISTORY_VALIDATION], line.step + (kind != GEN_HISTORY_VALIDATION));
    }
    list *l = &h->kind[kind];
    GEN_TRY(GEN_GROW(&l->line, &l->capacity, l->n + 1));
    l->line[l->n++] = line;
    return GEN_OK;
}

/* GEN_HISTORY_KINDS: one that is not known here. */
static gen_status find_kind(const gen_json *object, gen_history_kind *out)
{
    const char *name;
    if (gen_json_kind_of(object) != GEN_JSON_OBJECT)
        return gen_fail(GEN_EDATA, "found a value, expected a JSON object");
    GEN_TRY(gen_json_string(object, "kind", &name));
    int k = 0;
    while (k < GEN_HISTORY_KINDS && strcmp(name, kind_names[k]) != 0)
        k++;
    *out = (gen_history_kind)k;
    return GEN_OK;
}

/* ---- the file -------------------------------------------------------------------------------- */

static gen_status read_object(gen_history *h, const gen_json *object, int64_t number)
{
    gen_history_kind kind = GEN_HISTORY_KINDS;
    GEN_TRY(find_kind(object, &kind));
    return kind < GEN_HISTORY_KINDS ? add_line(h, kind, object, number) : GEN_OK;
}

static gen_status read_line(gen_history *h, const char *text, uint64_t size, const char *path,
                            int64_t number)
{
    gen_json *object = NULL;
    gen_status status = gen_json_parse(&object, text, size, GEN_HISTORY_MAX_LINE);
    bool broken = status == GEN_EDATA;
    if (status == GEN_OK)
        status = read_object(h, object, number);
    gen_json_free(&object);
    if (status == GEN_OK)
        return GEN_OK;
    gen_fail_in(status, "'%s', line %" PRId64, path, number);
    if (!broken)
        return status;
    if (h->broken++ == 0)
        snprintf(h->sentence, sizeof h->sentence, "%s", gen_last_error());
    return GEN_OK;
}

static gen_status read_lines(gen_history *h, const char *text, uint64_t size, const char *path)
{
    const char *at = text, *end = text + size, *newline;
    for (int64_t number = 1; (newline = memchr(at, '\n', (size_t)(end - at))); number++) {
        if (newline > at)
            GEN_TRY(read_line(h, at, (uint64_t)(newline - at), path, number));
        at = newline + 1;
    }
    h->cut = at < end;
    return GEN_OK;
}

/* Which names the lines have that hold. */
static void mark_names(gen_history *h)
{
    for (int k = 0; k < GEN_HISTORY_KINDS; k++)
        for (uint64_t i = 0; i < h->kind[k].n; i++) {
            const gen_history_line *l = &h->kind[k].line[i];
            for (int m = 0; m < l->items; m++)
                h->in[h->items[l->first + (uint64_t)m].name] |= 1u << k;
        }
}

gen_status gen_history_parse(gen_history **out, const char *text, uint64_t size, const char *path)
{
    GEN_TRY(GEN_ALLOC(out, 1, "history"));
    gen_status status = read_lines(*out, text, size, path);
    if (status == GEN_OK)
        mark_names(*out);
    else
        gen_history_free(out);
    return status;
}

gen_status gen_history_read(gen_history **out, const char *path)
{
    char *text;
    uint64_t size;
    *out = NULL;
    GEN_TRY(gen_file_read(path, GEN_HISTORY_MAX_BYTES, &text, &size));
    gen_status status = gen_history_parse(out, text, size, path);
    gen_free(text);
    return status;
}

void gen_history_free(gen_history **history)
{
    gen_history *h = *history;
    *history = NULL;
    if (!h)
        return;
    for (int k = 0; k < GEN_HISTORY_KINDS; k++)
        gen_free(h->kind[k].line);
    gen_free(h->items);
    gen_free(h->values);
    gen_map_free(&h->index);
    gen_arena_free(&h->texts);
    gen_free(h);
}

/* ---- what was read --------------------------------------------------------------------------- */

const gen_history_line *gen_history_lines(const gen_history *h, gen_history_kind kind, int64_t *n)
{
    *n = (int64_t)h->kind[kind].n;
    return h->kind[kind].line;
}

int gen_history_numbers(const gen_history *h, const gen_history_line *line, const char *name,
                        const double **v)
{
    int index = (int)(uintptr_t)gen_map_get(&h->index, name) - 1;
    for (int i = 0; i < line->items; i++) {
        const item *found = &h->items[line->first + (uint64_t)i];
        if (found->name == index) {
            *v = h->values + found->at;
            return found->n;
        }
    }
    *v = NULL;
    return 0;
}

double gen_history_number(const gen_history *h, const gen_history_line *line, const char *name)
{
    const double *v;
    return gen_history_numbers(h, line, name, &v) == 1 ? *v : NAN;
}

const char *gen_history_name(const gen_history *h, gen_history_kind kind, const char *prefix,
                             int *i)
{
    for (; *i < h->names; ++*i)
        if (h->in[*i] >> kind & 1 && !strncmp(h->name[*i], prefix, strlen(prefix)))
            return h->name[(*i)++];
    return NULL;
}

int64_t gen_history_broken(const gen_history *h, const char **sentence)
{
    *sentence = h->sentence;
    return h->broken;
}

bool gen_history_cut(const gen_history *h)
{
    return h->cut;
}
