/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of HDF5 radar formats share: a file opened for reading, attributes as text and
 * numbers, and two-dimensional datasets read in rows.
 *
 * An HDF5 file can name other files: external and soft links, external storage, virtual datasets,
 * filters that are loaded. All of them are refused; an object is reached by hard links only.
 * Each error names the file, the object and the attribute.
 *
 * All calls stand between gen_hdf5_enter and gen_hdf5_leave, which hold the lock of HDF5 and keep
 * its messages from stderr.
 */
#ifndef WEATHER_CODEC_HDF5_H
#define WEATHER_CODEC_HDF5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "libgen/base/fail.h"

/* The first bytes of an HDF5 file. */
bool gen_hdf5_recognises(const unsigned char *head, size_t n);

typedef struct gen_hdf5_quiet {
    H5E_auto2_t report;
    void *cookie;
} gen_hdf5_quiet;
void gen_hdf5_enter(gen_hdf5_quiet *q);
void gen_hdf5_leave(const gen_hdf5_quiet *q);

typedef struct gen_hdf5 {
    const char *path; /* borrowed */
    hid_t file;
    uint64_t size; /* bytes */
} gen_hdf5;

gen_status gen_hdf5_open(gen_hdf5 *h, const char *path);
void gen_hdf5_close(gen_hdf5 *h); /* closes what is still open in it; h may be zeroed */

/* The object at a path of hard links ("dataset1/data1"; "" is the root). */
hid_t gen_hdf5_open_object(const gen_hdf5 *h, const char *object); /* below 0: there is none */
bool gen_hdf5_has(const gen_hdf5 *h, const char *object);
bool gen_hdf5_has_attribute(const gen_hdf5 *h, const char *object, const char *name);

/* Text without blanks at its end. An attribute that is not there gives "". */
#define GEN_HDF5_TEXT 1024
gen_status gen_hdf5_text(const gen_hdf5 *h, const char *object, const char *name,
                         char out[GEN_HDF5_TEXT]);
/* Finite numbers: *n in capacity, out how many there are (0: no such attribute). */
gen_status gen_hdf5_numbers(const gen_hdf5 *h, const char *object, const char *name, double *out,
                            int *n);
/* One finite number; `preset` when there is none. */
gen_status gen_hdf5_number(const gen_hdf5 *h, const char *object, const char *name, double preset,
                           double *out);

/* A packed value that has a meaning, such as missing; NAN when there is none, or where NaN is it.
 */
gen_status gen_hdf5_code(const gen_hdf5 *h, const char *object, const char *name, double *out);

/* Sides of a dataset. EDATA: no such dataset, not two dimensions of numbers, sides beyond 65536,
 * more than the file can hold, chunks beyond 1 GB, data in other files. */
gen_status gen_hdf5_shape(const gen_hdf5 *h, const char *object, int64_t *height, int64_t *width);

/* How numbers become values: missing and undetected ones by their packed number (NAN = there is no
 * such number), the others times gain plus offset. */
typedef struct gen_hdf5_packing {
    double gain, offset;
    double missing[2], undetected;
} gen_hdf5_packing;

/* A whole dataset as values [height,width]: NaN = missing, GEN_UNDETECTED. Errors as
 * gen_hdf5_shape, also when it has not that shape. */
gen_status gen_hdf5_read(const gen_hdf5 *h, const char *object, const gen_hdf5_packing *p,
                         int64_t height, int64_t width, float *values);

#endif
