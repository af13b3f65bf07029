/* SPDX-License-Identifier: Apache-2.0
 *
 * gen radar convert: radar files of any format as netCDF or .npy, which hold a whole sequence, or
 * as formats of one time a file, whose names then tell it.
 */
#include <string.h>
#include <strings.h>

#include "cli/weather_files.h"
#include "libgen/base/alloc.h"

#define LONGEST_NAME 4096

typedef struct settings {
    int64_t format;
    double precision;
} settings;

#define AT(field) .offset = offsetof(settings, field)
static const gen_option options[] = {
    { GEN_OPT_CHOICE, "format", AT(format), .choices = "suffix|netcdf|odim|geotiff|npy",
      .help = "of the output; suffix: as its name ends, .nc, .h5, .hdf or .hdf5 (ODIM), .tif or "
              ".tiff, .npy" },
    { GEN_OPT_REAL, "precision", AT(precision), .preset = 0.01, .min = 0.001, .max = 1,
      .value = "MM/H", .help = "step of the values in the file" },
    { 0 },
};

typedef gen_status write_sequence(const gen_radar_sequence *s, const char *path, double precision,
                                  const char *history, bool force);
typedef gen_status write_frame(const gen_radar_sequence *s, int64_t frame, const char *path,
                               double precision, const char *history, bool force);

/* In the order of the choices of --format, which begin with "suffix". */
static const struct format {
    const char *name, *suffixes[4];
    write_sequence *sequence; /* all times in one file */
    write_frame *frame;       /* one time a file */
} formats[] = {
    { "netCDF", { ".nc" }, .sequence = gen_radar_write },
    { "ODIM", { ".h5", ".hdf", ".hdf5" }, .frame = gen_radar_write_odim },
    { "GeoTIFF", { ".tif", ".tiff" }, .frame = gen_radar_write_geotiff },
    { ".npy", { ".npy" }, .sequence = gen_radar_write_npy },
};

static gen_status choose_format(const struct format **out, const gen_run *r)
{
    const settings *o = r->settings;
    const char *name = r->common.output;
    size_t length = strlen(name);
    *out = o->format > 0 ? &formats[o->format - 1] : NULL;
    for (int i = 0; i < GEN_LEN(formats) && !*out; i++)
        for (int j = 0; j < GEN_LEN(formats[i].suffixes) && formats[i].suffixes[j] && !*out; j++) {
            size_t n = strlen(formats[i].suffixes[j]);
            if (length >= n && strcasecmp(name + length - n, formats[i].suffixes[j]) == 0)
                *out = &formats[i];
        }
    if (!*out)
        return gen_fail(GEN_EINVAL, "radar convert: the name '%s' tells no format: give --format",
                        name);
    return GEN_OK;
}

/* Names that do not tell the whole time could repeat, and frames would be lost. */
static gen_status check_names(gen_run *r, const file_list *files, const struct format *format,
                              const gen_radar_sequence *s)
{
    char name[LONGEST_NAME];
    const char *pattern = r->common.output + strspn(r->common.output, "/");
    for (int64_t i = 0; i < s->frames; i++) {
        bool matches = false;
        int64_t time = 0;
        GEN_TRY(gen_name_print(name, sizeof name, r->common.output, s->time[i]));
        GEN_TRY(refuse_input(files, name));
        if (s->frames > 1)
            GEN_TRY(gen_name_match(pattern, name, &matches, &time));
        if (s->frames > 1 && (!matches || time != s->time[i]))
            return gen_fail(GEN_EINVAL,
                            "radar convert: %s has one time a file, and there are %lld: give a "
                            "name with the whole time, like '%%Y%%m%%d%%H%%M%s'",
                            format->name, (long long)s->frames, format->suffixes[0]);
    }
    return GEN_OK;
}

static gen_status write_frames(gen_run *r, const struct format *format, const gen_radar_sequence *s,
                               const char *history)
{
    char name[LONGEST_NAME];
    const settings *o = r->settings;
    for (int64_t i = 0; i < s->frames; i++) {
        GEN_TRY(gen_name_print(name, sizeof name, r->common.output, s->time[i]));
        GEN_TRY(format->frame(s, i, name, o->precision, history, r->common.force));
        GEN_TRY(gen_progress_report(&r->progress, "files", (double)(i + 1), (double)s->frames));
    }
    return GEN_OK;
}

static gen_status run_convert(gen_run *r)
{
    gen_status status;
    file_list files = { 0 };
    gen_radar_sequence *s = NULL;
    char *history = NULL;
    const settings *o = r->settings;
    const struct format *format;
    if (!r->common.output)
        return gen_fail(GEN_EINVAL, "radar convert: where to? give -o FILE");
    GEN_TRY(choose_format(&format, r));
    leave_hdf5_at_exit();
    GEN_GOTO(file_list_fill(&files, r));
    GEN_GOTO(refuse_input(&files, r->common.output));
    GEN_GOTO(read_until(&s, r, &files, NULL, 0));
    GEN_GOTO(history_text(&history, r, NULL));
    if (format->sequence)
        GEN_GOTO(format->sequence(s, r->common.output, o->precision, history, r->common.force));
    if (!format->sequence) {
        GEN_GOTO(check_names(r, &files, format, s));
        GEN_GOTO(write_frames(r, format, s, history));
    }
done:
    gen_free(history);
    gen_radar_free(&s);
    file_list_free(&files);
    return status;
}

const gen_command gen_commands_radar_convert[] = {
    { .name = "radar convert",
      .operands = "FILE|DIR...",
      .min_operands = 1,
      .max_operands = -1,
      .help = "Radar files of any format as rain rates: netCDF or .npy (with a JSON file beside "
              "it), which hold every time, or ODIM HDF5 or GeoTIFF, which hold one; then the name "
              "of the output has the time as in "
              "strftime.",
      .options = options,
      .settings_size = sizeof(settings),
      .takes = GEN_TAKES_OUTPUT | GEN_TAKES_RADAR,
      .run = run_convert,
      .examples =
          "gen radar convert radar/*.h5 -o rain.nc\n"
          "gen radar convert rain.nc -o 'out/%Y%m%d%H%M.h5'\n"
          "gen radar convert PrecipRate_00.00_20190610-000000.grib2.gz -o rain.tif\n"
          "gen radar convert T_PABV21_C_EUOC_20241126010000.hdf --zr 316,1.5 -o rain.nc\n" },
    { 0 },
};
