/* SPDX-License-Identifier: Apache-2.0
 *
 * HDF5 files that we write: made in memory, and on disk whole or not at all. So a full disk is an
 * error like others: HDF5 1.10 cannot close a file that it could not write.
 *
 * Errors stick: after the first, nothing more is called, and commit reports it. All calls stand
 * between gen_hdf5_enter and gen_hdf5_leave. The same calls give the same bytes.
 */
#ifndef WEATHER_CODEC_HDF5_WRITER_H
#define WEATHER_CODEC_HDF5_WRITER_H

#include "weather/codec/hdf5.h"

typedef struct gen_hdf5_writer {
    hid_t file;
    const char *failed; /* what could not be put, or NULL */
} gen_hdf5_writer;

void gen_hdf5_create(gen_hdf5_writer *w);
void gen_hdf5_writer_close(gen_hdf5_writer *w);

/* Attributes of an object; groups that are missing are made ("dataset1/data1/what"). */
void gen_hdf5_put_text(gen_hdf5_writer *w, const char *object, const char *name, const char *text);
void gen_hdf5_put_real(gen_hdf5_writer *w, const char *object, const char *name, double v);
void gen_hdf5_put_int(gen_hdf5_writer *w, const char *object, const char *name, int64_t v);

/* A deflated dataset of 16 bit (`wide`: 32 bit) unsigned integers, from values [height,width]. */
void gen_hdf5_put_grid(gen_hdf5_writer *w, const char *object, const uint32_t *values,
                       int64_t height, int64_t width, bool wide);

/* The file appears at `path`; EEXIST without force. */
gen_status gen_hdf5_commit(gen_hdf5_writer *w, const char *path, bool force);

#endif
