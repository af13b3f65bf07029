/* SPDX-License-Identifier: Apache-2.0
 *
 * HDF5 itself crashes on damaged bytes, which is why `gen` reads it in a process of its own. So the
 * bytes of these fuzz targets are not a file: they choose changes to a small valid one, which the
 * reader then reads in this process. Each change is a byte that says its kind, one for the object,
 * one for the attribute, and what it needs beyond that.
 */
#ifndef TESTS_FUZZ_HDF5_CHANGES_H
#define TESTS_FUZZ_HDF5_CHANGES_H

#include <unistd.h>

#include "tests/fuzz/radar_frames.h"
#include "tests/hdf5_file.h"

typedef struct fuzz_names {
    const char *const *objects, *const *attributes, *const *variables, *const *texts;
    int n_objects, n_attributes, n_variables, n_texts;
} fuzz_names;

typedef struct fuzz_bytes {
    const uint8_t *data;
    size_t left;
} fuzz_bytes;

static inline unsigned next_byte(fuzz_bytes *b)
{
    if (b->left == 0)
        return 0;
    b->left--;
    return *b->data++;
}

static inline double next_number(fuzz_bytes *b)
{
    static const double odd[] = { 0,      1,     -1,  0.5,   255,  256, 65535,  65536,
                                  1e-320, 1e300, NAN, 1e-10, -1e6, 12,  1.5e38, INFINITY };
    double v = 0;
    unsigned kind = next_byte(b);
    if (kind < 128)
        return odd[kind % GEN_LEN(odd)];
    if (kind < 192)
        return (double)(int8_t)next_byte(b) / (double)(1 + next_byte(b));
    for (unsigned i = 0; i < sizeof v; i++)
        ((unsigned char *)&v)[i] = (unsigned char)next_byte(b);
    return v;
}

static inline void next_text(fuzz_bytes *b, const fuzz_names *n, char out[64])
{
    unsigned kind = next_byte(b), length;
    snprintf(out, 64, "%s", n->texts[kind % (unsigned)n->n_texts]);
    if (kind < 100)
        return;
    length = next_byte(b) % 63;
    for (unsigned i = 0; i < length; i++)
        out[i] = (char)next_byte(b);
    out[length] = 0;
}

static inline void change_text(fuzz_bytes *b, hid_t file, const char *object, const char *name,
                               const fuzz_names *n)
{
    char text[64];
    const char *variable = text;
    next_text(b, n, text);
    hid_t type = H5Tcopy(H5T_C_S1);
    unsigned kind = next_byte(b);
    if (kind % 4 == 0) {
        H5Tset_size(type, H5T_VARIABLE);
        hdf5_set(file, object, name, type, type, kind % 3, (const char *[]){ variable, text });
    } else {
        H5Tset_size(type, kind % 4 == 1 ? strlen(text) + 1 : 64);
        H5Tset_strpad(type, kind % 4 == 2 ? H5T_STR_SPACEPAD : H5T_STR_NULLPAD);
        hdf5_set(file, object, name, type, type, 0, text);
    }
    H5Tclose(type);
}

static inline void change_number(fuzz_bytes *b, hid_t file, const char *object, const char *name)
{
    const hid_t types[] = { H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_STD_I8LE, H5T_STD_U64BE };
    double v[12] = { 0 };
    unsigned kind = next_byte(b), n = kind < 160 ? 0 : kind % 12 + 1;
    for (unsigned i = 0; i < (n ? n : 1); i++)
        v[i] = next_number(b);
    hdf5_set(file, object, name, types[kind % 4], H5T_NATIVE_DOUBLE, n, v);
}

/* Attributes that are neither text nor numbers. */
static inline void change_kind(fuzz_bytes *b, hid_t file, const char *object, const char *name)
{
    unsigned char value[16] = { 1 };
    hid_t type = next_byte(b) % 2 ? H5Tcreate(H5T_OPAQUE, 16) : H5Tcreate(H5T_COMPOUND, 16);
    if (H5Tget_class(type) == H5T_COMPOUND)
        H5Tinsert(type, "a", 0, H5T_NATIVE_DOUBLE);
    hdf5_set(file, object, name, type, type, next_byte(b) % 2, value);
    H5Tclose(type);
}

static inline void change_grid(fuzz_bytes *b, hid_t file, const char *object)
{
    const hid_t types[] = { H5T_STD_U8LE,   H5T_STD_I8LE,   H5T_STD_U16BE,  H5T_STD_I16LE,
                            H5T_STD_I32LE,  H5T_STD_U32BE,  H5T_STD_I64LE,  H5T_IEEE_F32LE,
                            H5T_IEEE_F64BE, H5T_IEEE_F64LE, H5T_STD_REF_OBJ };
    unsigned type = next_byte(b) % GEN_LEN(types), storage = next_byte(b);
    unsigned h = next_byte(b), w = next_byte(b);
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    if (storage & 1) {
        const hsize_t chunk[2] = { 1 + next_byte(b), 1 + next_byte(b) };
        H5Pset_chunk(how, 2, chunk);
        if (storage & 2)
            H5Pset_shuffle(how);
        if (storage & 4)
            H5Pset_deflate(how, 1);
        if (storage & 8)
            H5Pset_fletcher32(how);
        if (storage & 16)
            H5Pset_alloc_time(how, H5D_ALLOC_TIME_INCR);
    }
    if (storage & 32)
        h = ODIM_H, w = ODIM_W;
    hdf5_put_grid(file, object, types[type], how, h * (storage & 64 ? 256 : 1),
                  w * (storage & 128 ? 256 : 1));
    H5Pclose(how);
}

static inline void change_links(fuzz_bytes *b, hid_t file, const char *object, const char *other)
{
    unsigned kind = next_byte(b) % 5;
    if (kind > 0 && strcmp(object, other) != 0 && other[0])
        hdf5_remove(file, other);
    if (kind == 1)
        H5Lcreate_soft(object, file, other, H5P_DEFAULT, H5P_DEFAULT);
    if (kind == 2)
        H5Lcreate_external("elsewhere.h5", object, file, other, H5P_DEFAULT, H5P_DEFAULT);
    if (kind == 3)
        H5Lcreate_hard(file, object, file, other, H5P_DEFAULT, H5P_DEFAULT);
    if (kind == 4)
        H5Ocopy(file, object, file, other, H5P_DEFAULT, H5P_DEFAULT);
}

static inline void change(fuzz_bytes *b, hid_t file, const fuzz_names *n)
{
    unsigned kind = next_byte(b) % 8;
    const char *object = n->objects[next_byte(b) % (unsigned)n->n_objects];
    const char *name = n->attributes[next_byte(b) % (unsigned)n->n_attributes];
    switch (kind) {
    case 0:
    case 1:
        change_text(b, file, object, name, n);
        break;
    case 2:
    case 3:
        change_number(b, file, object, name);
        break;
    case 4:
        hdf5_delete(file, object, name);
        break;
    case 5:
        if (object[0])
            change_grid(b, file, object);
        break;
    case 6:
        change_links(b, file, object, n->objects[next_byte(b) % (unsigned)n->n_objects]);
        break;
    default:
        change_kind(b, file, object, name);
    }
}

static inline const char *fuzz_path(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/libgen-fuzz-%d.h5", (int)getpid());
    return path;
}

static inline void fuzz_leave(void)
{
    (void)remove(fuzz_path());
}

static inline void fuzz_hdf5(hid_t (*make)(const char *), const fuzz_names *n, const uint8_t *data,
                             size_t size)
{
    static int started;
    fuzz_bytes b = { data, size };
    gen_radar_read_options options = { 0 };
    gen_radar_file *f = NULL;
    if (!started++) {
        atexit(fuzz_leave);
        H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    }
    unsigned variable = next_byte(&b);
    options.variable = variable < 128 ? NULL : n->variables[variable % (unsigned)n->n_variables];
    hid_t file = make(fuzz_path());
    for (int i = 0; i < 20 && b.left; i++)
        change(&b, file, n);
    H5Fclose(file);
    if (gen_radar_file_open(&f, fuzz_path(), &options) == GEN_OK)
        fuzz_frames(f);
    else if (!strstr(gen_last_error(), fuzz_path()))
        abort();
    if (gen_alloc_bytes() != 0 || gen_alloc_peak() > (uint64_t)512 << 20)
        abort();
}

#endif
