/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of torch.save: .pth, .pt, .bin. Two layouts:
 *
 *     zip (since 1.6)  NAME/data.pkl, a pickle; NAME/data/KEY, the elements of each storage, stored
 *                      without compression; NAME/byteorder, "little"
 *     stream (before)  five pickles (magic number, protocol, system, object, keys); then for each
 * key 8 bytes with the number of elements, and the elements
 *
 * The object is a state dict, or a dict that holds one ("state_dict", "model", ...). Tensors are
 * views of storages: offset and strides are checked against the storage, the storage against the
 * file. Compressed entries are refused (torch writes none), so sizes are what they claim.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "libgen/base/map.h"
#include "libgen/model/pickle.h"
#include "libgen/model/tensor_file.h"

#define MAX_PICKLE ((uint64_t)64 << 20)
#define MAX_ENTRIES 1000000

/* ---- from values to tensors ----------------------------------------------------------------- */

/* Where the elements of a storage lie. */
struct place {
    int64_t entry; /* of the zip, -1: the file */
    uint64_t offset, count;
    uint32_t item;
};

typedef gen_status find_storage(void *context, const gen_pickle_value *storage, struct place *out);

static uint64_t tensors_in(const gen_pickle_value *dict)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i + 1 < dict->length; i += 2)
        n += dict->item[i]->kind == GEN_PICKLE_TEXT && dict->item[i + 1]->kind == GEN_PICKLE_TENSOR;
    return n;
}

/* The dict one level down that holds the tensors, with its key; NULL: this one does. */
static gen_pickle_value *inner(const gen_pickle_value *dict, const char **key)
{
    static const char *const always[] = { "state_dict", "model_state_dict" };
    static const char *const usual[] = { "model", "generator", "module", "net", "params", "ema" };
    gen_pickle_value *v, *found = NULL;
    for (int i = 0; i < GEN_LEN(always); i++)
        if ((v = gen_pickle_get(dict, *key = always[i])) && v->kind == GEN_PICKLE_DICT)
            return v;
    if (tensors_in(dict))
        return NULL;
    for (int i = 0; i < GEN_LEN(usual); i++)
        if ((v = gen_pickle_get(dict, *key = usual[i])) && v->kind == GEN_PICKLE_DICT)
            return v;
    for (uint64_t i = 0; i + 1 < dict->length; i += 2) {
        v = dict->item[i + 1];
        if (dict->item[i]->kind != GEN_PICKLE_TEXT || v->kind != GEN_PICKLE_DICT || !tensors_in(v))
            continue;
        if (found)
            return NULL; /* which one? */
        found = v;
        *key = dict->item[i]->text;
    }
    return found;
}

/* Elements of a view must lie in its storage, and be no more than it holds (an expanded view would
 * let a small file ask for any amount of memory). */
static gen_status check_view(const gen_pickle_value *v, gen_file_tensor *t)
{
    char text[GEN_SHAPE_TEXT];
    const gen_pickle_value *storage = v->tensor->storage;
    uint64_t count, last = (uint64_t)v->tensor->offset, room = storage->storage.count;
    if (!gen_file_count(t->shape, &count) || count > room)
        return gen_fail(GEN_EMODEL, "shape %s is larger than its storage of %llu elements",
                        gen_shape_text(t->shape, text), (unsigned long long)room);
    if (!count)
        return GEN_OK;
    for (int i = 0; i < t->shape.rank; i++) {
        uint64_t steps = (uint64_t)(t->shape.dim[i] - 1), stride = (uint64_t)t->stride[i];
        if (last >= room || (steps && stride > (room - 1 - last) / steps))
            return gen_fail(GEN_EMODEL, "shape %s reaches beyond its storage of %llu elements",
                            gen_shape_text(t->shape, text), (unsigned long long)room);
        last += steps * stride;
    }
    if (last >= room)
        return gen_fail(GEN_EMODEL, "its offset lies beyond its storage of %llu elements",
                        (unsigned long long)room);
    return GEN_OK;
}

static gen_status make_tensor(const gen_pickle_value *name, const gen_pickle_value *v,
                              gen_file_tensor *t, find_storage *find, void *context)
{
    struct place place;
    const gen_pickle_value *storage = v->tensor->storage;
    if (strlen(name->text) != name->length)
        return gen_fail(GEN_EMODEL, "its name holds a zero byte");
    t->name = name->text;
    t->shape = v->tensor->shape;
    if (!gen_file_dtype(t, storage->storage.dtype))
        return gen_fail(GEN_EBUG, "storage of unknown type %s", storage->storage.dtype);
    gen_file_set_dense(t);
    for (int i = 0; i < t->shape.rank; i++) {
        t->dense = t->dense && (t->shape.dim[i] <= 1 || v->tensor->stride[i] == t->stride[i]);
        t->stride[i] = v->tensor->stride[i];
    }
    GEN_TRY(check_view(v, t));
    GEN_TRY(find(context, storage, &place));
    t->entry = place.entry;
    t->offset = place.offset;
    if (gen_file_tensor_count(t))
        t->offset += (uint64_t)v->tensor->offset * t->item;
    return GEN_OK;
}

/* "state dict under 'state_dict'; passed over: epoch, lr" */
static gen_status add_note(gen_tensor_file *f, const char *format, const char *name)
{
    char line[GEN_QUOTE + 64], q[GEN_QUOTE];
    size_t old = f->note ? strlen(f->note) : 0;
    if (old > 1000)
        return GEN_OK;
    snprintf(line, sizeof line, format, gen_quote(name, q));
    f->note =
        gen_arena_printf(&f->arena, "%s%s%s", f->note ? f->note : "", f->note ? ", " : "", line);
    return f->note ? GEN_OK : GEN_ENOMEM;
}

static gen_status collect(gen_tensor_file *f, const gen_pickle_value *dict, find_storage *find,
                          void *context)
{
    char q[GEN_QUOTE];
    const char *key = "";
    for (int depth = 0; dict->kind == GEN_PICKLE_DICT; depth++) {
        const gen_pickle_value *next = inner(dict, &key);
        if (!next)
            break;
        if (depth == 8)
            return gen_fail(GEN_EMODEL, "dicts nested deeper than 8 around the tensors");
        GEN_TRY(add_note(f, "state dict under '%s'", key));
        dict = next;
    }
    uint64_t n = dict->kind == GEN_PICKLE_DICT ? tensors_in(dict) : 0;
    if (!n)
        return gen_fail(GEN_EMODEL, "no state dict (names with tensors) in the file");
    f->tensor = gen_arena_alloc(&f->arena, n * sizeof *f->tensor);
    if (!f->tensor)
        return GEN_ENOMEM;
    for (uint64_t i = 0; i + 1 < dict->length; i += 2) {
        const gen_pickle_value *name = dict->item[i], *v = dict->item[i + 1];
        if (name->kind != GEN_PICKLE_TEXT)
            continue;
        if (v->kind != GEN_PICKLE_TENSOR) {
            GEN_TRY(add_note(f, "passed over '%s'", name->text));
            continue;
        }
        gen_status status = make_tensor(name, v, &f->tensor[f->count], find, context);
        if (status != GEN_OK)
            return gen_fail_in(status, "tensor '%s'", gen_quote(name->text, q));
        f->count++;
    }
    return gen_file_sort(f);
}

/* ---- zip ------------------------------------------------------------------------------------ */

struct archive {
    zip_t *zip;
    char *prefix;     /* "NAME/" in the arena */
    zip_file_t *open; /* entry being read, so that pieces in order are one pass (and its CRC) */
    int64_t index;
    uint64_t at, size;
};

static gen_status zip_problem(struct archive *a, const char *what)
{
    return gen_fail(GEN_EMODEL, "zip archive: %s: %s", what, zip_strerror(a->zip));
}

/* Entry PREFIX + name: stored, not compressed. *index -1: absent. */
static gen_status locate(struct archive *a, const char *name, int64_t *index, uint64_t *size)
{
    char path[512], q[GEN_QUOTE];
    zip_stat_t st;
    int n = snprintf(path, sizeof path, "%s%s", a->prefix, name);
    *index = n < (int)sizeof path ? zip_name_locate(a->zip, path, ZIP_FL_ENC_RAW) : -1;
    if (*index < 0)
        return GEN_OK;
    if (zip_stat_index(a->zip, (zip_uint64_t)*index, 0, &st) != 0)
        return zip_problem(a, gen_quote(path, q));
    if (st.comp_method != ZIP_CM_STORE || st.encryption_method != ZIP_EM_NONE ||
        st.comp_size != st.size)
        return gen_fail(GEN_EMODEL,
                        "zip entry '%s' is compressed or encrypted; torch.save only "
                        "stores",
                        gen_quote(path, q));
    *size = st.size;
    return GEN_OK;
}

static gen_status zip_position(struct archive *a, int64_t entry, uint64_t offset)
{
    zip_stat_t st;
    if (a->open && a->index == entry && a->at == offset)
        return GEN_OK;
    if (a->open)
        zip_fclose(a->open);
    a->open = zip_fopen_index(a->zip, (zip_uint64_t)entry, 0);
    if (!a->open || zip_stat_index(a->zip, (zip_uint64_t)entry, 0, &st) != 0)
        return zip_problem(a, "an entry cannot be opened");
    a->index = entry;
    a->size = st.size;
    a->at = offset;
    if (offset && zip_fseek(a->open, (zip_int64_t)offset, SEEK_SET) != 0)
        return gen_fail(GEN_EMODEL, "zip archive: %s", zip_file_strerror(a->open));
    return GEN_OK;
}

gen_status gen_torch_zip_read(const gen_tensor_file *f, int64_t entry, uint64_t offset, void *out,
                              uint64_t n)
{
    struct archive *a = f->zip;
    char *p = out, end;
    GEN_TRY(zip_position(a, entry, offset));
    while (n) {
        zip_int64_t got = zip_fread(a->open, p, n < (1u << 30) ? n : (1u << 30));
        if (got <= 0)
            return gen_fail(GEN_EMODEL, "zip archive: %s",
                            got ? zip_file_strerror(a->open) : "an entry ends early");
        p += got;
        a->at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    if (a->at == a->size && zip_fread(a->open, &end, 1) != 0) /* the end checks the CRC */
        return gen_fail(GEN_EMODEL, "zip archive: the checksum of an entry is wrong");
    return GEN_OK;
}

void gen_torch_zip_close(gen_tensor_file *f)
{
    struct archive *a = f->zip;
    if (a->open)
        zip_fclose(a->open);
    zip_discard(a->zip);
    gen_free(a);
    f->zip = NULL;
}

static gen_status zip_storage(void *context, const gen_pickle_value *storage, struct place *out)
{
    gen_tensor_file *f = context;
    gen_file_tensor t;
    char name[300], q[GEN_QUOTE];
    uint64_t size = 0;
    (void)gen_file_dtype(&t, storage->storage.dtype);
    snprintf(name, sizeof name, "data/%s", storage->storage.key);
    GEN_TRY(locate(f->zip, name, &out->entry, &size));
    if (out->entry < 0)
        return gen_fail(GEN_EMODEL, "the archive lacks '%s'", gen_quote(name, q));
    if (size % t.item || size / t.item != storage->storage.count)
        return gen_fail(GEN_EMODEL, "'%s' has %llu bytes, expected %llu elements of %u",
                        gen_quote(name, q), (unsigned long long)size,
                        (unsigned long long)storage->storage.count, t.item);
    out->offset = 0;
    return GEN_OK;
}

/* The pickle's entry gives the prefix of all the others. */
static gen_status find_prefix(gen_tensor_file *f, struct archive *a)
{
    zip_int64_t n = zip_get_num_entries(a->zip, 0);
    if (n > MAX_ENTRIES)
        return gen_fail(GEN_EMODEL, "the archive has %lld entries, at most %d are accepted",
                        (long long)n, MAX_ENTRIES);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        size_t length = name ? strlen(name) : 0;
        if (length < 8 || length > 300 || strcmp(name + length - 8, "data.pkl") != 0 ||
            (length > 8 && name[length - 9] != '/'))
            continue;
        a->prefix = gen_arena_printf(&f->arena, "%.*s", (int)length - 8, name);
        return a->prefix ? GEN_OK : GEN_ENOMEM;
    }
    return gen_fail(GEN_EMODEL, "a zip archive, but not of torch.save: it holds no data.pkl");
}

static gen_status check_kind(gen_tensor_file *f, struct archive *a)
{
    int64_t entry;
    uint64_t size = 0;
    char order[16] = "";
    GEN_TRY(locate(a, "constants.pkl", &entry, &size));
    if (entry >= 0)
        return gen_fail(GEN_EMODEL, "a TorchScript archive (a program): save model.state_dict()");
    GEN_TRY(locate(a, "byteorder", &entry, &size));
    if (entry < 0)
        return GEN_OK; /* before 2.1: little-endian */
    if (size >= sizeof order)
        return gen_fail(GEN_EMODEL, "the archive's byteorder is not a word");
    GEN_TRY(gen_torch_zip_read(f, entry, 0, order, size));
    if (strcmp(order, "little") != 0)
        return gen_fail(GEN_EMODEL, "the elements are in big-endian order");
    return GEN_OK;
}

gen_status gen_torch_zip_open(gen_tensor_file *f)
{
    gen_status status;
    struct archive *a;
    unsigned char *pickle = NULL;
    gen_pickle_source source = { .fd = -1 };
    gen_pickle_value *root;
    int64_t entry;
    int code = 0, fd;
    f->format = GEN_FILE_TORCH_ZIP;
    GEN_TRY(GEN_ALLOC(&a, 1, "archive"));
    fd = dup(f->fd);
    a->zip = fd < 0 ? NULL : zip_fdopen(fd, ZIP_CHECKCONS, &code);
    if (!a->zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        status = gen_fail(GEN_EMODEL, "zip archive: %s", zip_error_strerror(&error));
        zip_error_fini(&error);
        if (fd >= 0)
            close(fd);
        gen_free(a);
        return status;
    }
    f->zip = a;
    GEN_GOTO(find_prefix(f, a));
    GEN_GOTO(check_kind(f, a));
    GEN_GOTO(locate(a, "data.pkl", &entry, &source.end));
    if (entry < 0 || source.end > MAX_PICKLE)
        GEN_GOTO(gen_fail(GEN_EMODEL, "data.pkl has more than %d MB", (int)(MAX_PICKLE >> 20)));
    GEN_GOTO(gen_alloc_raw((void **)&pickle, source.end, 1, "pickle"));
    GEN_GOTO(gen_torch_zip_read(f, entry, 0, pickle, source.end));
    source.data = pickle;
    GEN_GOTO(gen_pickle_read(&root, &source, &f->arena));
    GEN_GOTO(collect(f, root, zip_storage, f));
done:
    gen_free(pickle);
    return status;
}

/* ---- stream --------------------------------------------------------------------------------- */

static gen_status stream_storage(void *context, const gen_pickle_value *storage, struct place *out)
{
    const struct place *p = gen_map_get(context, storage->storage.key);
    char q[GEN_QUOTE];
    gen_file_tensor t;
    (void)gen_file_dtype(&t, storage->storage.dtype);
    if (!p || p->entry != -1)
        return gen_fail(GEN_EMODEL, "the file has no storage '%s'",
                        gen_quote(storage->storage.key, q));
    if (p->item != t.item || p->count != storage->storage.count)
        return gen_fail(GEN_EMODEL, "storage '%s' is described in two ways",
                        gen_quote(storage->storage.key, q));
    *out = *p;
    return GEN_OK;
}

/* Every storage that the pickle names, not yet found (entry -2). */
static gen_status list_storages(gen_tensor_file *f, gen_map *places,
                                const gen_pickle_value *storage)
{
    for (; storage; storage = storage->storage.next) {
        gen_file_tensor t;
        if (gen_map_get(places, storage->storage.key))
            continue;
        struct place *p = gen_arena_alloc(&f->arena, sizeof *p);
        if (!p)
            return GEN_ENOMEM;
        (void)gen_file_dtype(&t, storage->storage.dtype);
        *p = (struct place){ .entry = -2, .count = storage->storage.count, .item = t.item };
        GEN_TRY(gen_map_set(places, storage->storage.key, p));
    }
    return GEN_OK;
}

/* Walks the elements behind the pickles in the order of `keys`. */
static gen_status place_storages(gen_tensor_file *f, gen_map *places, const gen_pickle_value *keys,
                                 uint64_t at)
{
    char q[GEN_QUOTE];
    if (keys->kind != GEN_PICKLE_LIST)
        return gen_fail(GEN_EMODEL, "the list of storages is missing");
    for (uint64_t i = 0; i < keys->length; i++) {
        const char *key = keys->item[i]->kind == GEN_PICKLE_TEXT ? keys->item[i]->text : "";
        struct place *p = gen_map_get(places, key);
        unsigned char b[8];
        uint64_t count = 0;
        if (!p || p->entry != -2)
            return gen_fail(GEN_EMODEL, "storage '%s' is listed but not used, or listed twice",
                            gen_quote(key, q));
        if (f->size - at < 8)
            return gen_fail(GEN_EMODEL, "the file ends before storage '%s'", gen_quote(key, q));
        GEN_TRY(gen_read_at(f->fd, at, b, 8));
        for (int k = 7; k >= 0; k--)
            count = count << 8 | b[k];
        at += 8;
        if (count != p->count || count > (f->size - at) / p->item)
            return gen_fail(GEN_EMODEL,
                            "storage '%s' has %llu elements, expected %llu, and %llu "
                            "bytes are left",
                            gen_quote(key, q), (unsigned long long)count,
                            (unsigned long long)p->count, (unsigned long long)(f->size - at));
        p->offset = at;
        p->entry = -1;
        at += count * p->item;
    }
    return GEN_OK;
}

static gen_status check_start(gen_pickle_source *source, gen_arena *arena)
{
    static const unsigned char magic[10] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                             0x20, 0x6a, 0xa8, 0x50, 0x19 };
    gen_pickle_value *v;
    GEN_TRY(gen_pickle_read(&v, source, arena));
    if (v->kind != GEN_PICKLE_LONG || v->length != sizeof magic ||
        memcmp(v->text, magic, sizeof magic) != 0)
        return gen_fail(GEN_EMODEL, "a Python pickle, but not of torch.save");
    GEN_TRY(gen_pickle_read(&v, source, arena));
    if (v->kind != GEN_PICKLE_INT || v->i != 1001)
        return gen_fail(GEN_EMODEL, "an unknown version of torch.save");
    GEN_TRY(gen_pickle_read(&v, source, arena));
    const gen_pickle_value *little = gen_pickle_get(v, "little_endian");
    if (!little || little->kind != GEN_PICKLE_BOOL || !little->i)
        return gen_fail(GEN_EMODEL, "the elements are in big-endian order");
    return GEN_OK;
}

gen_status gen_torch_stream_open(gen_tensor_file *f)
{
    gen_status status;
    gen_pickle_source source = { .fd = f->fd, .end = f->size };
    gen_pickle_value *root, *keys;
    gen_map places = { 0 };
    f->format = GEN_FILE_TORCH_STREAM;
    GEN_GOTO(check_start(&source, &f->arena));
    GEN_GOTO(gen_pickle_read(&root, &source, &f->arena));
    GEN_GOTO(gen_pickle_read(&keys, &source, &f->arena));
    GEN_GOTO(list_storages(f, &places, source.storages));
    GEN_GOTO(place_storages(f, &places, keys, source.at));
    GEN_GOTO(collect(f, root, stream_storage, &places));
done:
    gen_map_free(&places);
    gen_pickle_source_free(&source);
    return status;
}
