/* SPDX-License-Identifier: Apache-2.0
 *
 * The pickle machine: a stack of values, a stack of marks, a memo. One function a group of
 * instructions; see Python's pickletools for what each means. Protocol 0 and 1 instructions that
 * later protocols never write are refused, like everything that would call into Python.
 */
#include "libgen/model/pickle.h"

#include <string.h>

#include "libgen/model/tensor_file.h"

#define MAX_STEPS (1 << 23)             /* a state dict of 854 tensors takes 50 000 */
#define MAX_STACK (1 << 20)             /* values on the stack */
#define MAX_MARKS 1000                  /* nesting of containers being built */
#define MAX_BYTES ((uint64_t)256 << 20) /* of all values together */
#define MAX_TEXT ((uint64_t)64 << 20)   /* of one string */
#define WINDOW 65536u

enum global {
    ORDERED_DICT,
    SET,
    REBUILD_TENSOR,
    REBUILD_TENSOR_V2,
    REBUILD_PARAMETER,
    SIZE,
    ENCODE,
    DEVICE,
    DTYPE,
    STORAGE,
    NEW_ARRAY,
    ARRAY,
    ARRAY_TYPE,
    TIME
};

/* Everything of Python that a pickle may name: from NEW_ARRAY on in arrays of times, else in state
 * dicts. */
static const struct allowed {
    const char *module, *name;
    enum global what;
    const char *dtype; /* of storages */
} allowed[] = {
    { "collections", "OrderedDict", ORDERED_DICT, NULL },
    { "torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR_V2, NULL },
    { "torch._utils", "_rebuild_tensor", REBUILD_TENSOR, NULL },
    { "torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, NULL },
    { "torch", "FloatStorage", STORAGE, "F32" },
    { "torch", "DoubleStorage", STORAGE, "F64" },
    { "torch", "HalfStorage", STORAGE, "F16" },
    { "torch", "BFloat16Storage", STORAGE, "BF16" },
    { "torch", "LongStorage", STORAGE, "I64" },
    { "torch", "IntStorage", STORAGE, "I32" },
    { "torch", "ShortStorage", STORAGE, "I16" },
    { "torch", "CharStorage", STORAGE, "I8" },
    { "torch", "ByteStorage", STORAGE, "U8" },
    { "torch", "BoolStorage", STORAGE, "BOOL" },
    { "torch", "Size", SIZE, NULL },
    { "torch", "device", DEVICE, NULL },
    { "torch", "float32", DTYPE, NULL },
    { "torch", "float64", DTYPE, NULL },
    { "torch", "float16", DTYPE, NULL },
    { "torch", "bfloat16", DTYPE, NULL },
    { "torch", "int64", DTYPE, NULL },
    { "torch", "int32", DTYPE, NULL },
    { "_codecs", "encode", ENCODE, NULL },
    { "__builtin__", "set", SET, NULL },
    { "builtins", "set", SET, NULL },
    { "__builtin__", "frozenset", SET, NULL },
    { "builtins", "frozenset", SET, NULL },
    { "numpy.core.multiarray", "_reconstruct", NEW_ARRAY, NULL },
    { "numpy._core.multiarray", "_reconstruct", NEW_ARRAY, NULL }, /* from NumPy 2 on */
    { "numpy", "ndarray", ARRAY, NULL },
    { "numpy", "dtype", ARRAY_TYPE, NULL },
    { "datetime", "datetime", TIME, NULL },
};

typedef gen_pickle_value value;

struct machine {
    gen_pickle_source *source;
    gen_arena *arena;
    uint64_t bytes; /* taken from the arena by this pickle */
    value **stack;
    uint64_t depth, capacity;
    uint64_t mark[MAX_MARKS];
    int marks;
    value **memo;
    uint64_t memo_count, memo_capacity;
    uint64_t steps;
};

/* ---- bytes ---------------------------------------------------------------------------------- */

static gen_status refill(gen_pickle_source *s)
{
    if (!s->window)
        GEN_TRY(gen_alloc_raw((void **)&s->window, WINDOW, 1, "pickle window"));
    uint64_t n = s->end - s->at < WINDOW ? s->end - s->at : WINDOW;
    s->window_size = 0;
    GEN_TRY(gen_read_at(s->fd, s->at, s->window, n));
    s->window_at = s->at;
    s->window_size = n;
    return GEN_OK;
}

static gen_status take(gen_pickle_source *s, void *out, uint64_t n)
{
    if (n > s->end - s->at)
        return gen_fail(GEN_EMODEL, "the pickle ends in the middle");
    if (s->fd < 0) {
        memcpy(out, s->data + s->at, n);
        s->at += n;
        return GEN_OK;
    }
    for (char *p = out; n;) {
        if (s->at < s->window_at || s->at >= s->window_at + s->window_size)
            GEN_TRY(refill(s));
        uint64_t here = s->window_at + s->window_size - s->at;
        here = here < n ? here : n;
        memcpy(p, s->window + (s->at - s->window_at), here);
        s->at += here;
        p += here;
        n -= here;
    }
    return GEN_OK;
}

void gen_pickle_source_free(gen_pickle_source *s)
{
    gen_free(s->window);
    s->window = NULL;
    s->window_size = 0;
}

/* An unsigned little-endian number of `size` bytes. */
static gen_status take_number(struct machine *m, int size, uint64_t *out)
{
    unsigned char b[8] = { 0 };
    *out = 0;
    GEN_TRY(take(m->source, b, (uint64_t)size));
    for (int i = size - 1; i >= 0; i--)
        *out = *out << 8 | b[i];
    return GEN_OK;
}

/* ---- values --------------------------------------------------------------------------------- */

static gen_status get_memory(struct machine *m, uint64_t n, void **out)
{
    *out = NULL;
    if (n > MAX_BYTES - m->bytes)
        return gen_fail(GEN_EMODEL, "the pickle holds more than %d MB of values",
                        (int)(MAX_BYTES >> 20));
    m->bytes += n + 16;
    m->bytes = m->bytes > MAX_BYTES ? MAX_BYTES : m->bytes;
    *out = gen_arena_alloc(m->arena, n);
    return *out ? GEN_OK : GEN_ENOMEM;
}

static gen_status push(struct machine *m, value *v)
{
    if (m->depth >= MAX_STACK)
        return gen_fail(GEN_EMODEL, "the pickle's stack grows beyond %d values", MAX_STACK);
    GEN_TRY(GEN_GROW(&m->stack, &m->capacity, m->depth + 1));
    m->stack[m->depth++] = v;
    return GEN_OK;
}

static gen_status push_new(struct machine *m, gen_pickle_kind kind, value **out)
{
    void *p;
    if (out)
        *out = NULL;
    GEN_TRY(get_memory(m, sizeof(value), &p));
    value *v = p;
    v->kind = kind;
    if (out)
        *out = v;
    return push(m, v);
}

static gen_status push_int(struct machine *m, gen_pickle_kind kind, int64_t i)
{
    value *v;
    GEN_TRY(push_new(m, kind, &v));
    v->i = i;
    return GEN_OK;
}

/* Values above the top mark; the mark protects what lies under it. */
static uint64_t floor_of(const struct machine *m)
{
    return m->marks ? m->mark[m->marks - 1] : 0;
}

static gen_status pop(struct machine *m, value **out)
{
    *out = NULL;
    if (m->depth <= floor_of(m))
        return gen_fail(GEN_EMODEL, "the pickle takes from an empty stack");
    *out = m->stack[--m->depth];
    return GEN_OK;
}

static gen_status peek(struct machine *m, value **out)
{
    *out = NULL;
    if (m->depth <= floor_of(m))
        return gen_fail(GEN_EMODEL, "the pickle looks at an empty stack");
    *out = m->stack[m->depth - 1];
    return GEN_OK;
}

/* Takes away the top mark: *item are the n values above it, still in the stack's memory. */
static gen_status pop_mark(struct machine *m, value ***item, uint64_t *n)
{
    *item = NULL;
    *n = 0;
    if (!m->marks)
        return gen_fail(GEN_EMODEL, "the pickle closes a container that it did not open");
    uint64_t from = m->mark[--m->marks];
    *item = m->stack ? m->stack + from : NULL;
    *n = m->depth - from;
    m->depth = from;
    return GEN_OK;
}

static const char *kind_name(const value *v)
{
    static const char *const names[] = { "None",     "a bool",    "an int",   "an int",
                                         "a float",  "text",      "bytes",    "a tuple",
                                         "a list",   "a dict",    "a global", "a storage",
                                         "a tensor", "an object", "a time" };
    return names[v->kind];
}

static gen_status append(struct machine *m, value *list, value *const *item, uint64_t n)
{
    if (list->length + n > list->capacity) {
        uint64_t capacity =
            list->capacity * 2 > list->length + n ? list->capacity * 2 : list->length + n;
        void *p;
        GEN_TRY(get_memory(m, capacity * sizeof *item, &p));
        if (list->length)
            memcpy(p, list->item, list->length * sizeof *item);
        list->item = p;
        list->capacity = capacity;
    }
    if (n)
        memcpy(list->item + list->length, item, n * sizeof *item);
    list->length += n;
    return GEN_OK;
}

static gen_status push_text(struct machine *m, gen_pickle_kind kind, uint64_t n)
{
    if (n > MAX_TEXT || n > m->source->end - m->source->at)
        return gen_fail(GEN_EMODEL, "the pickle announces a text of %llu bytes",
                        (unsigned long long)n);
    void *p;
    GEN_TRY(get_memory(m, n + 1, &p));
    GEN_TRY(take(m->source, p, n));
    value *v;
    GEN_TRY(push_new(m, kind, &v));
    v->text = p;
    v->length = n;
    return GEN_OK;
}

static gen_status sized_text(struct machine *m, gen_pickle_kind kind, int size)
{
    uint64_t n;
    GEN_TRY(take_number(m, size, &n));
    return push_text(m, kind, n);
}

static gen_status push_long(struct machine *m, int size)
{
    uint64_t n;
    GEN_TRY(take_number(m, size, &n));
    GEN_TRY(push_text(m, GEN_PICKLE_LONG, n));
    value *v = m->stack[m->depth - 1];
    if (n > 8)
        return GEN_OK;
    uint64_t x = n && (v->text[n - 1] & 0x80) ? UINT64_MAX : 0;
    for (uint64_t i = n; i-- > 0;)
        x = x << 8 | (unsigned char)v->text[i];
    v->kind = GEN_PICKLE_INT;
    v->i = (int64_t)x;
    return GEN_OK;
}

static gen_status push_real(struct machine *m)
{
    unsigned char b[8];
    uint64_t bits = 0;
    GEN_TRY(take(m->source, b, 8));
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | b[i]; /* the only big-endian number of a pickle */
    value *v;
    GEN_TRY(push_new(m, GEN_PICKLE_REAL, &v));
    memcpy(&v->real, &bits, 8);
    return GEN_OK;
}

/* ---- names and calls ------------------------------------------------------------------------ */

static gen_status push_global(struct machine *m, const char *module, const char *name)
{
    char qm[GEN_QUOTE], qn[GEN_QUOTE];
    for (int i = 0; i < GEN_LEN(allowed); i++)
        if (strcmp(allowed[i].module, module) == 0 && strcmp(allowed[i].name, name) == 0 &&
            (allowed[i].what >= NEW_ARRAY) == m->source->times) {
            value *v;
            GEN_TRY(push_new(m, GEN_PICKLE_GLOBAL, &v));
            v->what = i;
            return GEN_OK;
        }
    return gen_fail(GEN_EMODEL, "the pickle names '%s.%s', which is not part of %s",
                    gen_quote(module, qm), gen_quote(name, qn),
                    m->source->times ? "an array of times (nothing was executed)"
                                     : "a state dict (nothing was executed); save "
                                       "model.state_dict() alone, or as safetensors");
}

/* GLOBAL: two lines of text. */
static gen_status read_global(struct machine *m)
{
    char line[2][256];
    for (int k = 0; k < 2; k++)
        for (size_t n = 0;; n++) {
            if (n == sizeof line[k])
                return gen_fail(GEN_EMODEL, "the pickle names a global of over 255 characters");
            GEN_TRY(take(m->source, &line[k][n], 1));
            if (line[k][n] == '\n') {
                line[k][n] = 0;
                break;
            }
        }
    return push_global(m, line[0], line[1]);
}

static gen_status stack_global(struct machine *m)
{
    value *module, *name;
    GEN_TRY(pop(m, &name));
    GEN_TRY(pop(m, &module));
    if (name->kind != GEN_PICKLE_TEXT || module->kind != GEN_PICKLE_TEXT)
        return gen_fail(GEN_EMODEL, "the pickle names a global by %s and %s", kind_name(module),
                        kind_name(name));
    return push_global(m, module->text, name->text);
}

/* ('storage', class, key, device, count[, None]): where elements lie. */
static gen_status persistent(struct machine *m)
{
    value *id, *v;
    GEN_TRY(pop(m, &id));
    if (id->kind != GEN_PICKLE_TUPLE || id->length < 5 || id->length > 6 ||
        !gen_pickle_is_text(id->item[0], "storage") || id->item[1]->kind != GEN_PICKLE_GLOBAL ||
        allowed[id->item[1]->what].what != STORAGE || id->item[2]->kind != GEN_PICKLE_TEXT ||
        id->item[4]->kind != GEN_PICKLE_INT || id->item[4]->i < 0)
        return gen_fail(GEN_EMODEL,
                        "the pickle refers to something that is not a tensor's storage");
    if (id->length == 6 && id->item[5]->kind != GEN_PICKLE_NONE)
        return gen_fail(GEN_EMODEL, "the pickle holds a view of a storage (PyTorch before 0.4)");
    GEN_TRY(push_new(m, GEN_PICKLE_STORAGE, &v));
    v->storage.dtype = allowed[id->item[1]->what].dtype;
    v->storage.key = id->item[2]->text;
    v->storage.count = (uint64_t)id->item[4]->i;
    v->storage.next = m->source->storages;
    m->source->storages = v;
    return GEN_OK;
}

static gen_status read_dims(const value *t, const char *what, int64_t *dim, int *rank)
{
    if (t->kind != GEN_PICKLE_TUPLE)
        return gen_fail(GEN_EMODEL, "a tensor's %s is %s, not a tuple", what, kind_name(t));
    if (t->length > GEN_MAX_RANK)
        return gen_fail(GEN_EMODEL, "a tensor has %llu dimensions, at most %d are supported",
                        (unsigned long long)t->length, GEN_MAX_RANK);
    for (uint64_t i = 0; i < t->length; i++) {
        if (t->item[i]->kind != GEN_PICKLE_INT || t->item[i]->i < 0)
            return gen_fail(GEN_EMODEL, "a tensor's %s holds something that is not a count", what);
        dim[i] = t->item[i]->i;
    }
    *rank = (int)t->length;
    return GEN_OK;
}

/* (storage, offset, size, stride, ...) */
static gen_status rebuild_tensor(struct machine *m, const value *args)
{
    if (args->length < 4 || args->item[0]->kind != GEN_PICKLE_STORAGE ||
        args->item[1]->kind != GEN_PICKLE_INT || args->item[1]->i < 0)
        return gen_fail(GEN_EMODEL, "the pickle builds a tensor from the wrong things");
    value *v;
    void *p;
    GEN_TRY(push_new(m, GEN_PICKLE_TENSOR, &v));
    GEN_TRY(get_memory(m, sizeof *v->tensor, &p));
    v->tensor = p;
    v->tensor->storage = args->item[0];
    v->tensor->offset = args->item[1]->i;
    int rank = 0, strides = 0;
    GEN_TRY(read_dims(args->item[2], "size", v->tensor->shape.dim, &rank));
    GEN_TRY(read_dims(args->item[3], "stride", v->tensor->stride, &strides));
    if (rank != strides)
        return gen_fail(GEN_EMODEL, "a tensor has %d dimensions and %d strides", rank, strides);
    v->tensor->shape.rank = rank;
    return GEN_OK;
}

/* set([...]), frozenset([...]), OrderedDict(), OrderedDict([[key, value], ...]). */
static gen_status build_container(struct machine *m, gen_pickle_kind kind, const value *args)
{
    value *v;
    GEN_TRY(push_new(m, kind, &v));
    if (args->length == 0)
        return GEN_OK;
    const value *from = args->item[0];
    if (args->length > 1 || (from->kind != GEN_PICKLE_LIST && from->kind != GEN_PICKLE_TUPLE))
        return gen_fail(GEN_EMODEL, "the pickle fills a container with %s", kind_name(from));
    if (kind == GEN_PICKLE_LIST)
        return append(m, v, from->item, from->length);
    for (uint64_t i = 0; i < from->length; i++) {
        const value *pair = from->item[i];
        if ((pair->kind != GEN_PICKLE_LIST && pair->kind != GEN_PICKLE_TUPLE) || pair->length != 2)
            return gen_fail(GEN_EMODEL, "the pickle fills a dict with %s", kind_name(pair));
        GEN_TRY(append(m, v, pair->item, 2));
    }
    return GEN_OK;
}

/* datetime(b'...'), without a zone. */
static gen_status make_time(struct machine *m, const value *args)
{
    value *v;
    if (args->length != 1 || args->item[0]->kind != GEN_PICKLE_BYTES || args->item[0]->length != 10)
        return gen_fail(GEN_EMODEL, "the pickle makes a time from something other than 10 bytes");
    GEN_TRY(push_new(m, GEN_PICKLE_TIME, &v));
    v->text = args->item[0]->text;
    v->length = 10;
    return GEN_OK;
}

/* "Calls": each allowed name has a meaning here, written above; nothing of Python is run. */
static gen_status reduce(struct machine *m)
{
    value *args, *f, *v;
    GEN_TRY(pop(m, &args));
    GEN_TRY(pop(m, &f));
    if (f->kind != GEN_PICKLE_GLOBAL || args->kind != GEN_PICKLE_TUPLE)
        return gen_fail(GEN_EMODEL, "the pickle calls %s with %s", kind_name(f), kind_name(args));
    switch (allowed[f->what].what) {
    case ORDERED_DICT:
        return build_container(m, GEN_PICKLE_DICT, args);
    case SET:
        return build_container(m, GEN_PICKLE_LIST, args);
    case REBUILD_TENSOR:
    case REBUILD_TENSOR_V2:
        return rebuild_tensor(m, args);
    case REBUILD_PARAMETER:
        if (args->length < 1 || args->item[0]->kind != GEN_PICKLE_TENSOR)
            return gen_fail(GEN_EMODEL, "the pickle builds a parameter from the wrong things");
        return push(m, args->item[0]);
    case SIZE:
        if (args->length != 1 || args->item[0]->kind != GEN_PICKLE_TUPLE)
            return gen_fail(GEN_EMODEL, "the pickle builds a torch.Size from the wrong things");
        return push(m, args->item[0]);
    case ENCODE:
        if (args->length < 1 || args->item[0]->kind != GEN_PICKLE_TEXT)
            return gen_fail(GEN_EMODEL, "the pickle encodes something that is not text");
        GEN_TRY(push_new(m, GEN_PICKLE_BYTES, &v));
        v->text = args->item[0]->text;
        v->length = args->item[0]->length;
        return GEN_OK;
    case DEVICE:
    case ARRAY_TYPE:
        return push_new(m, GEN_PICKLE_OPAQUE, NULL);
    case NEW_ARRAY: /* empty: filled by BUILD */
        return push_new(m, GEN_PICKLE_LIST, NULL);
    case TIME:
        return make_time(m, args);
    case DTYPE:
    case STORAGE:
    case ARRAY:
        break;
    }
    return gen_fail(GEN_EMODEL, "the pickle calls '%s.%s'", allowed[f->what].module,
                    allowed[f->what].name);
}

/* The state of an array: (version, shape, dtype, is it Fortran's, [objects]). */
static gen_status fill_array(struct machine *m, value *array, const value *attributes)
{
    if (attributes->kind != GEN_PICKLE_TUPLE || attributes->length != 5 ||
        attributes->item[4]->kind != GEN_PICKLE_LIST || attributes->item[4] == array)
        return gen_fail(GEN_EMODEL, "the pickle fills an array with something other than objects");
    return append(m, array, attributes->item[4]->item, attributes->item[4]->length);
}

/* BUILD: attributes of an object. A state dict has `_metadata`, which is of no use here. */
static gen_status build(struct machine *m)
{
    value *attributes, *object;
    GEN_TRY(pop(m, &attributes));
    GEN_TRY(peek(m, &object));
    if (m->source->times && object->kind == GEN_PICKLE_LIST)
        return fill_array(m, object, attributes);
    if (m->source->times && object->kind == GEN_PICKLE_OPAQUE) /* byte order of a dtype */
        return GEN_OK;
    if (object->kind != GEN_PICKLE_DICT && object->kind != GEN_PICKLE_TENSOR)
        return gen_fail(GEN_EMODEL, "the pickle sets attributes of %s", kind_name(object));
    return GEN_OK;
}

/* ---- containers ----------------------------------------------------------------------------- */

static gen_status make_tuple(struct machine *m, value **item, uint64_t n)
{
    value *v;
    void *p = NULL;
    GEN_TRY(get_memory(m, n * sizeof *item, &p)); /* before push writes over the items */
    if (n)
        memcpy(p, item, n * sizeof *item);
    GEN_TRY(push_new(m, GEN_PICKLE_TUPLE, &v));
    v->item = p;
    v->length = v->capacity = n;
    return GEN_OK;
}

static gen_status small_tuple(struct machine *m, uint64_t n)
{
    value *item[3], *v;
    for (uint64_t i = n; i-- > 0;) {
        GEN_TRY(pop(m, &v));
        item[i] = v;
    }
    return make_tuple(m, item, n);
}

static gen_status add_items(struct machine *m, gen_pickle_kind kind, value **item, uint64_t n)
{
    value *to;
    GEN_TRY(peek(m, &to));
    if (to->kind != kind)
        return gen_fail(GEN_EMODEL, "the pickle adds items to %s", kind_name(to));
    if (kind == GEN_PICKLE_DICT && n % 2)
        return gen_fail(GEN_EMODEL, "the pickle gives a dict a key without a value");
    return append(m, to, item, n);
}

/* LIST, DICT, FROZENSET: a container of everything above the mark. */
static gen_status make_container(struct machine *m, gen_pickle_kind kind)
{
    value **item, *v;
    uint64_t n;
    void *p;
    GEN_TRY(pop_mark(m, &item, &n));
    if (kind == GEN_PICKLE_DICT && n % 2)
        return gen_fail(GEN_EMODEL, "the pickle gives a dict a key without a value");
    GEN_TRY(get_memory(m, n * sizeof *item, &p));
    if (n)
        memcpy(p, item, n * sizeof *item);
    GEN_TRY(push_new(m, kind, &v));
    v->item = p;
    v->length = v->capacity = n;
    return GEN_OK;
}

static gen_status add_marked(struct machine *m, gen_pickle_kind kind)
{
    value **item;
    uint64_t n;
    GEN_TRY(pop_mark(m, &item, &n));
    return add_items(m, kind, item, n);
}

static gen_status add_popped(struct machine *m, gen_pickle_kind kind, uint64_t n)
{
    value *item[2], *v;
    for (uint64_t i = n; i-- > 0;) {
        GEN_TRY(pop(m, &v));
        item[i] = v;
    }
    return add_items(m, kind, item, n);
}

/* Writers number the memo from 0 without gaps, so an index beyond the instructions so far is no
 * writer's: that bounds its memory. */
static gen_status memo_put(struct machine *m, uint64_t i)
{
    value *v;
    GEN_TRY(peek(m, &v));
    if (i > m->steps)
        return gen_fail(GEN_EMODEL, "the pickle writes memo %llu after %llu instructions",
                        (unsigned long long)i, (unsigned long long)m->steps);
    GEN_TRY(GEN_GROW(&m->memo, &m->memo_capacity, i + 1));
    m->memo[i] = v;
    m->memo_count = i + 1 > m->memo_count ? i + 1 : m->memo_count;
    return GEN_OK;
}

static gen_status memo_get(struct machine *m, uint64_t i)
{
    if (i >= m->memo_count || !m->memo[i])
        return gen_fail(GEN_EMODEL, "the pickle reads memo %llu, which was never written",
                        (unsigned long long)i);
    return push(m, m->memo[i]);
}

/* ---- the machine ---------------------------------------------------------------------------- */

static gen_status step_scalar(struct machine *m, unsigned char op, bool *known)
{
    uint64_t n;
    switch (op) {
    case 'N':
        return push_new(m, GEN_PICKLE_NONE, NULL);
    case 0x88:
    case 0x89:
        return push_int(m, GEN_PICKLE_BOOL, op == 0x88);
    case 'J':
        GEN_TRY(take_number(m, 4, &n));
        return push_int(m, GEN_PICKLE_INT, (int32_t)(uint32_t)n);
    case 'K':
    case 'M':
        GEN_TRY(take_number(m, op == 'K' ? 1 : 2, &n));
        return push_int(m, GEN_PICKLE_INT, (int64_t)n);
    case 0x8a:
        return push_long(m, 1);
    case 0x8b:
        return push_long(m, 4);
    case 'G':
        return push_real(m);
    case 0x8c:
        return sized_text(m, GEN_PICKLE_TEXT, 1);
    case 'U': /* written by Python 2 */
        return sized_text(m, GEN_PICKLE_TEXT, 1);
    case 'X':
    case 'T':
        return sized_text(m, GEN_PICKLE_TEXT, 4);
    case 0x8d:
        return sized_text(m, GEN_PICKLE_TEXT, 8);
    case 'C':
        return sized_text(m, GEN_PICKLE_BYTES, 1);
    case 'B':
        return sized_text(m, GEN_PICKLE_BYTES, 4);
    case 0x8e:
    case 0x96:
        return sized_text(m, GEN_PICKLE_BYTES, 8);
    }
    *known = false;
    return GEN_OK;
}

static gen_status step_container(struct machine *m, unsigned char op, bool *known)
{
    value **item;
    uint64_t n;
    switch (op) {
    case '}':
        return push_new(m, GEN_PICKLE_DICT, NULL);
    case ']':
    case 0x8f:
        return push_new(m, GEN_PICKLE_LIST, NULL);
    case ')':
        return make_tuple(m, NULL, 0);
    case 0x85:
    case 0x86:
    case 0x87:
        return small_tuple(m, (uint64_t)(op - 0x84));
    case 't':
        GEN_TRY(pop_mark(m, &item, &n));
        return make_tuple(m, item, n);
    case 'l':
    case 0x91:
        return make_container(m, GEN_PICKLE_LIST);
    case 'd':
        return make_container(m, GEN_PICKLE_DICT);
    case 'a':
        return add_popped(m, GEN_PICKLE_LIST, 1);
    case 'e':
    case 0x90:
        return add_marked(m, GEN_PICKLE_LIST);
    case 's':
        return add_popped(m, GEN_PICKLE_DICT, 2);
    case 'u':
        return add_marked(m, GEN_PICKLE_DICT);
    }
    *known = false;
    return GEN_OK;
}

static gen_status step_machine(struct machine *m, unsigned char op, bool *known)
{
    value *v, **item;
    uint64_t n;
    switch (op) {
    case 0x80:
        GEN_TRY(take_number(m, 1, &n));
        return n <= 5 ? GEN_OK
                      : gen_fail(GEN_EMODEL, "pickle protocol %d, at most 5 is known", (int)n);
    case 0x95: /* FRAME: a hint for buffering */
        return take_number(m, 8, &n);
    case '(':
        if (m->marks == MAX_MARKS)
            return gen_fail(GEN_EMODEL, "the pickle nests containers deeper than %d", MAX_MARKS);
        m->mark[m->marks++] = m->depth;
        return GEN_OK;
    case '0':
        return pop(m, &v);
    case '1':
        return pop_mark(m, &item, &n);
    case '2':
        GEN_TRY(peek(m, &v));
        return push(m, v);
    case 'q':
    case 'r':
        GEN_TRY(take_number(m, op == 'q' ? 1 : 4, &n));
        return memo_put(m, n);
    case 0x94:
        return memo_put(m, m->memo_count);
    case 'h':
    case 'j':
        GEN_TRY(take_number(m, op == 'h' ? 1 : 4, &n));
        return memo_get(m, n);
    case 'c':
        return read_global(m);
    case 0x93:
        return stack_global(m);
    case 'R':
        return reduce(m);
    case 'b':
        return build(m);
    case 'Q':
        return persistent(m);
    }
    *known = false;
    return GEN_OK;
}

static gen_status run(struct machine *m, value **out)
{
    for (;; m->steps++) {
        unsigned char op;
        bool known = true;
        if (m->steps >= MAX_STEPS)
            return gen_fail(GEN_EMODEL, "the pickle has more than %d instructions", MAX_STEPS);
        GEN_TRY(take(m->source, &op, 1));
        if (op == '.')
            break;
        GEN_TRY(step_scalar(m, op, &known));
        if (!known) {
            known = true;
            GEN_TRY(step_container(m, op, &known));
        }
        if (!known) {
            known = true;
            GEN_TRY(step_machine(m, op, &known));
        }
        if (!known)
            return gen_fail(GEN_EMODEL,
                            "the pickle has instruction 0x%02x, which no state dict needs", op);
    }
    return pop(m, out);
}

gen_status gen_pickle_read(value **out, gen_pickle_source *source, gen_arena *arena)
{
    gen_status status;
    struct machine *m = NULL;
    *out = NULL;
    GEN_TRY(GEN_ALLOC(&m, 1, "pickle reader"));
    m->source = source;
    m->arena = arena;
    status = run(m, out);
    gen_free(m->stack);
    gen_free(m->memo);
    gen_free(m);
    return status;
}

bool gen_pickle_is_text(const value *v, const char *text)
{
    return v->kind == GEN_PICKLE_TEXT && v->length == strlen(text) &&
           memcmp(v->text, text, v->length) == 0;
}

value *gen_pickle_get(const value *dict, const char *key)
{
    if (dict->kind != GEN_PICKLE_DICT)
        return NULL;
    for (uint64_t i = dict->length; i >= 2; i -= 2)
        if (gen_pickle_is_text(dict->item[i - 2], key))
            return dict->item[i - 1];
    return NULL;
}
