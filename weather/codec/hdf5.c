/* SPDX-License-Identifier: Apache-2.0
 *
 * HDF5 files, their objects and attributes: see hdf5.h.
 */
#include "weather/codec/hdf5.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"
#include "weather/codec/codec.h"

#define MAX_PATH 256 /* bytes of an object's name */

bool gen_hdf5_recognises(const unsigned char *head, size_t n)
{
    static const unsigned char signature[8] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    return n >= 8 && memcmp(head, signature, 8) == 0;
}

void gen_hdf5_enter(gen_hdf5_quiet *q)
{
    gen_netcdf_lock();
    H5Eget_auto2(H5E_DEFAULT, &q->report, &q->cookie);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void gen_hdf5_leave(const gen_hdf5_quiet *q)
{
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, q->report, q->cookie);
    gen_netcdf_unlock();
}

gen_status gen_hdf5_open(gen_hdf5 *h, const char *path)
{
    struct stat info;
    *h = (gen_hdf5){ .path = path, .file = H5I_INVALID_HID };
    if (stat(path, &info) != 0)
        return gen_fail(GEN_EDATA, "cannot read '%s'", path);
    h->size = (uint64_t)info.st_size;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0)
        return gen_fail(GEN_ENOMEM, "no memory for HDF5");
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    h->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (h->file < 0)
        return gen_fail(GEN_EDATA, "'%s' is damaged: HDF5 cannot open it", path);
    return GEN_OK;
}

void gen_hdf5_close(gen_hdf5 *h)
{
    if (h->path && h->file >= 0)
        H5Fclose(h->file);
    *h = (gen_hdf5){ .file = H5I_INVALID_HID };
}

/* ---- objects ----------------------------------------------------------------------------- */

/* H5Oopen follows links of every kind: so each link on the way is looked at first. */
hid_t gen_hdf5_open_object(const gen_hdf5 *h, const char *object)
{
    char path[MAX_PATH];
    H5L_info_t link;
    size_t length = strlen(object);
    if (length >= sizeof path)
        return H5I_INVALID_HID;
    for (size_t end = 0; end < length; end++) {
        end += strcspn(object + end, "/");
        memcpy(path, object, end);
        path[end] = 0;
        if (H5Lexists(h->file, path, H5P_DEFAULT) <= 0 ||
            H5Lget_info(h->file, path, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
            return H5I_INVALID_HID;
    }
    return H5Oopen(h->file, length ? object : "/", H5P_DEFAULT);
}

bool gen_hdf5_has(const gen_hdf5 *h, const char *object)
{
    hid_t id = gen_hdf5_open_object(h, object);
    if (id >= 0)
        H5Oclose(id);
    return id >= 0;
}

bool gen_hdf5_has_attribute(const gen_hdf5 *h, const char *object, const char *name)
{
    hid_t id = gen_hdf5_open_object(h, object);
    bool has = id >= 0 && H5Aexists(id, name) > 0;
    if (id >= 0)
        H5Oclose(id);
    return has;
}

/* ---- attributes -------------------------------------------------------------------------- */

typedef struct attribute {
    const char *path, *object, *name;
    hid_t owner, id, type, space;
    H5T_class_t kind;
    hssize_t count;
} attribute;

static void attribute_close(attribute *a)
{
    if (a->space >= 0)
        H5Sclose(a->space);
    if (a->type >= 0)
        H5Tclose(a->type);
    if (a->id >= 0)
        H5Aclose(a->id);
    if (a->owner >= 0)
        H5Oclose(a->owner);
}

static gen_status attribute_fail(const attribute *a, const char *what)
{
    return gen_fail(GEN_EDATA, "'%s': attribute '%s' of '/%s' %s", a->path, a->name, a->object,
                    what);
}

/* a->id < 0: there is none. Close it in any case. */
static gen_status attribute_open(attribute *a, const gen_hdf5 *h, const char *object,
                                 const char *name)
{
    hid_t none = H5I_INVALID_HID;
    *a = (attribute){ h->path, object, name, .id = none, .type = none, .space = none };
    a->owner = gen_hdf5_open_object(h, object);
    if (a->owner < 0 || H5Aexists(a->owner, name) <= 0)
        return GEN_OK;
    a->id = H5Aopen(a->owner, name, H5P_DEFAULT);
    if (a->id >= 0) {
        a->type = H5Aget_type(a->id);
        a->space = H5Aget_space(a->id);
    }
    if (a->type < 0 || a->space < 0)
        return attribute_fail(a, "cannot be read");
    a->kind = H5Tget_class(a->type);
    a->count = H5Sget_simple_extent_npoints(a->space);
    return GEN_OK;
}

static void cut_blanks(char *text)
{
    size_t n = strlen(text);
    while (n && isspace((unsigned char)text[n - 1]))
        text[--n] = 0;
}

/* Text of any length, which HDF5 allocates. */
static gen_status read_variable_text(const attribute *a, char out[GEN_HDF5_TEXT])
{
    char *text = NULL;
    gen_status status = GEN_OK;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5Tget_cset(a->type));
    if (H5Aread(a->id, type, &text) < 0)
        status = attribute_fail(a, "cannot be read");
    else if (text && strlen(text) >= GEN_HDF5_TEXT)
        status = attribute_fail(a, "is too long a text");
    else
        snprintf(out, GEN_HDF5_TEXT, "%s", text ? text : "");
    H5free_memory(text);
    H5Tclose(type);
    return status;
}

static gen_status read_text(const attribute *a, char out[GEN_HDF5_TEXT])
{
    if (a->kind != H5T_STRING || a->count != 1)
        return attribute_fail(a, a->kind != H5T_STRING ? "is no text" : "is not one text");
    if (H5Tis_variable_str(a->type) > 0)
        return read_variable_text(a, out);
    size_t size = H5Tget_size(a->type);
    if (size >= GEN_HDF5_TEXT)
        return attribute_fail(a, "is too long a text");
    memset(out, 0, GEN_HDF5_TEXT);
    return H5Aread(a->id, a->type, out) < 0 ? attribute_fail(a, "cannot be read") : GEN_OK;
}

gen_status gen_hdf5_text(const gen_hdf5 *h, const char *object, const char *name,
                         char out[GEN_HDF5_TEXT])
{
    attribute a;
    out[0] = 0;
    gen_status status = attribute_open(&a, h, object, name);
    if (status == GEN_OK && a.id >= 0)
        status = read_text(&a, out);
    attribute_close(&a);
    cut_blanks(out);
    return status;
}

static gen_status read_numbers(const attribute *a, bool finite, double *out, int *n)
{
    char what[120];
    if (a->kind != H5T_INTEGER && a->kind != H5T_FLOAT)
        return attribute_fail(a, a->kind == H5T_STRING ? "is text, expected a number"
                                                       : "is no number");
    if (a->count < 1 || a->count > *n) {
        snprintf(what, sizeof what, "holds %lld numbers, expected %s%d", (long long)a->count,
                 *n > 1 ? "at most " : "", *n);
        return attribute_fail(a, what);
    }
    if (H5Aread(a->id, H5T_NATIVE_DOUBLE, out) < 0)
        return attribute_fail(a, "cannot be read");
    *n = (int)a->count;
    for (int i = 0; i < *n && finite; i++)
        if (!isfinite(out[i]))
            return attribute_fail(a, "is not finite");
    return GEN_OK;
}

static gen_status numbers(const gen_hdf5 *h, const char *object, const char *name, bool finite,
                          double *out, int *n)
{
    attribute a;
    gen_status status = attribute_open(&a, h, object, name);
    if (status == GEN_OK && a.id >= 0)
        status = read_numbers(&a, finite, out, n);
    else
        *n = 0;
    attribute_close(&a);
    return status;
}

gen_status gen_hdf5_numbers(const gen_hdf5 *h, const char *object, const char *name, double *out,
                            int *n)
{
    return numbers(h, object, name, true, out, n);
}

gen_status gen_hdf5_number(const gen_hdf5 *h, const char *object, const char *name, double preset,
                           double *out)
{
    int n = 1;
    *out = preset;
    return gen_hdf5_numbers(h, object, name, out, &n);
}

gen_status gen_hdf5_code(const gen_hdf5 *h, const char *object, const char *name, double *out)
{
    int n = 1;
    *out = NAN;
    return numbers(h, object, name, false, out, &n);
}
