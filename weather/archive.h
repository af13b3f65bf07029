/* SPDX-License-Identifier: Apache-2.0
 *
 * Radar files of any number of events, as sequences for training. Private to the weather room.
 */
#ifndef WEATHER_ARCHIVE_H
#define WEATHER_ARCHIVE_H

#include <libgen/weather.h>

typedef struct gen_archive_options {
    gen_radar_read_options read;
    double step;   /* seconds between frames that are wanted */
    bool any_step; /* take sequences whose step is another, too */
    int64_t least; /* frames; shorter sequences are left out, with a warning */
    gen_progress progress;
} gen_archive_options;

typedef struct gen_archive {
    gen_radar_sequence **sequence;
    int n;
    uint64_t room;
    int unreadable;       /* files left out, each with a warning */
    double step; /* seconds: the least step of the sequences */
} gen_archive;

/* A file of several frames is a sequence; files of one frame are joined where their grids agree and
 * one follows the other, and a gap ends a sequence. Of a sequence with a shorter step than is
 * wanted every n-th frame is taken, n times, each beginning one frame later. EDATA: no sequence is
 * left (the sentence says what became of them), or one has a step that is more than a factor 1.5
 * from the one wanted. Free with gen_archive_free, also after a failure. */
gen_status gen_archive_read(gen_archive *a, const char *const *paths, int n,
                            const gen_archive_options *options);
void gen_archive_free(gen_archive *a);

#endif
