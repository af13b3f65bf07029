/* SPDX-License-Identifier: Apache-2.0
 *
 * HDF5 files written by way of memory: see hdf5_writer.h.
 */
#include "weather/codec/hdf5_writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/file.h"

#define GROWS_BY ((size_t)1 << 20)
#define TILE 256 /* cells, at most, along each side of a chunk */
#define DEFLATE 6

void gen_hdf5_create(gen_hdf5_writer *w)
{
    *w = (gen_hdf5_writer){ .file = H5I_INVALID_HID };
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0) {
        H5Pset_fapl_core(access, GROWS_BY, false);
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
        w->file = H5Fcreate("in memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
        H5Pclose(access);
    }
    w->failed = w->file < 0 ? "the file" : NULL;
}

void gen_hdf5_writer_close(gen_hdf5_writer *w)
{
    if (w->file >= 0)
        H5Fclose(w->file);
    w->file = H5I_INVALID_HID;
}

/* The group at a path, made where it is missing; or the dataset that is there. */
static hid_t open_or_make(const gen_hdf5_writer *w, const char *object)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), id = H5I_INVALID_HID;
    H5Pset_create_intermediate_group(links, 1);
    id = H5Oopen(w->file, object[0] ? object : "/", H5P_DEFAULT);
    if (id < 0)
        id = H5Gcreate2(w->file, object, links, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(links);
    return id;
}

static void put(gen_hdf5_writer *w, const char *object, const char *name, hid_t type,
                const void *value)
{
    if (w->failed)
        return;
    hid_t owner = open_or_make(w, object), space = H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(owner, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (a < 0 || H5Awrite(a, type, value) < 0)
        w->failed = name;
    H5Aclose(a);
    H5Sclose(space);
    H5Oclose(owner);
}

void gen_hdf5_put_text(gen_hdf5_writer *w, const char *object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    put(w, object, name, type, text);
    H5Tclose(type);
}

void gen_hdf5_put_real(gen_hdf5_writer *w, const char *object, const char *name, double v)
{
    put(w, object, name, H5T_NATIVE_DOUBLE, &v);
}

void gen_hdf5_put_int(gen_hdf5_writer *w, const char *object, const char *name, int64_t v)
{
    put(w, object, name, H5T_NATIVE_INT64, &v);
}

void gen_hdf5_put_grid(gen_hdf5_writer *w, const char *object, const uint32_t *values,
                       int64_t height, int64_t width, bool wide)
{
    if (w->failed)
        return;
    const hsize_t size[2] = { (hsize_t)height, (hsize_t)width };
    const hsize_t chunk[2] = { size[0] < TILE ? size[0] : TILE, size[1] < TILE ? size[1] : TILE };
    hid_t how = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    hid_t space = H5Screate_simple(2, size, NULL);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_chunk(how, 2, chunk);
    H5Pset_deflate(how, DEFLATE);
    H5Pset_obj_track_times(how, false); /* the same bytes every time */
    hid_t data = H5Dcreate2(w->file, object, wide ? H5T_STD_U32LE : H5T_STD_U16LE, space, links,
                            how, H5P_DEFAULT);
    if (data < 0 || H5Dwrite(data, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        w->failed = "the values";
    H5Dclose(data);
    H5Sclose(space);
    H5Pclose(links);
    H5Pclose(how);
}

static gen_status copy_image(const gen_hdf5_writer *w, const char *path, FILE *to)
{
    void *image = NULL;
    if (H5Fflush(w->file, H5F_SCOPE_GLOBAL) < 0)
        return gen_fail(GEN_ENOMEM, "no memory for '%s'", path);
    ssize_t n = H5Fget_file_image(w->file, NULL, 0);
    if (n <= 0)
        return gen_fail(GEN_EBUG, "HDF5 has nothing to write to '%s'", path);
    GEN_TRY(gen_alloc_raw(&image, (uint64_t)n, 1, "a file in memory"));
    gen_status status = GEN_OK;
    if (H5Fget_file_image(w->file, image, (size_t)n) != n)
        status = gen_fail(GEN_EBUG, "HDF5 has nothing to write to '%s'", path);
    else if (fwrite(image, 1, (size_t)n, to) != (size_t)n)
        status = gen_output_error(path, errno);
    gen_free(image);
    return status;
}

gen_status gen_hdf5_commit(gen_hdf5_writer *w, const char *path, bool force)
{
    gen_status status;
    gen_output output = { 0 };
    if (w->failed)
        return gen_fail(GEN_ENOMEM, "'%s': HDF5 has no memory for %s", path, w->failed);
    GEN_GOTO(gen_output_open(&output, path, force, false));
    GEN_GOTO(copy_image(w, path, output.file));
    GEN_GOTO(gen_output_commit(&output));
done:
    gen_output_abort(&output);
    return status;
}
