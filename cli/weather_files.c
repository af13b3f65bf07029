/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/weather_files.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libgen/backends/backend.h"
#include "libgen/base/alloc.h"
#include "libgen/base/file.h"

/* Takes ownership of path. */
static gen_status add(file_list *l, char *path)
{
    gen_status status = GEN_GROW(&l->path, &l->capacity, l->n + 1);
    if (status != GEN_OK)
        gen_free(path);
    else
        l->path[l->n++] = path;
    return status;
}

static gen_status add_copy(file_list *l, const char *folder, const char *name)
{
    char *path = NULL;
    size_t size = (folder ? strlen(folder) : 0) + strlen(name) + 2;
    GEN_TRY(GEN_ALLOC(&path, size, "a file name"));
    snprintf(path, size, "%s%s%s", folder ? folder : "", folder ? "/" : "", name);
    return add(l, path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether a file in a folder is meant: its name matches, or, without a pattern, its content is
 * known. */
static gen_status is_meant(const char *path, const char *pattern, bool *meant)
{
    int64_t time;
    if (pattern)
        return gen_name_match(pattern, path, meant, &time);
    struct stat info;
    if (stat(path, &info) == 0 && info.st_size == 0)
        gen_log(GEN_LOG_WARN, "'%s' is empty: this file is left out", path);
    else if (gen_radar_known(path, meant) != GEN_OK)
        gen_log(GEN_LOG_WARN, "%s: this file is left out", gen_last_error());
    else if (!*meant)
        gen_log(GEN_LOG_DEBUG, "'%s' is no radar file", path);
    return GEN_OK;
}

/* Takes the files of a folder, and of those in it down to `depth`. */
static gen_status add_folder(file_list *l, const char *folder, const char *pattern, int depth)
{
    gen_status status = GEN_OK;
    DIR *d = opendir(folder);
    if (!d)
        return gen_fail(GEN_EDATA, "cannot read folder '%s': %s", folder, strerror(errno));
    for (struct dirent *e = readdir(d); e && status == GEN_OK; e = readdir(d)) {
        struct stat info;
        bool meant = false;
        if (e->d_name[0] == '.')
            continue;
        GEN_GOTO(add_copy(l, folder, e->d_name));
        char *path = l->path[l->n - 1];
        bool exists = stat(path, &info) == 0;
        if (exists && S_ISREG(info.st_mode) && depth == 0)
            GEN_GOTO(is_meant(path, pattern, &meant));
        if (meant)
            continue;
        l->n--;
        if (exists && S_ISDIR(info.st_mode) && depth > 0)
            status = add_folder(l, path, pattern, depth - 1);
        gen_free(path);
    }
done:
    closedir(d);
    return status;
}

static gen_status add_operand(file_list *l, const char *operand, const char *pattern)
{
    struct stat info;
    int first = l->n, depth = 0;
    if (stat(operand, &info) != 0 || !S_ISDIR(info.st_mode))
        return add_copy(l, NULL, operand);
    for (const char *p = pattern; p && *p; p++)
        depth += *p == '/';
    GEN_TRY(add_folder(l, operand, pattern, depth));
    if (l->n == first && pattern)
        return gen_fail(GEN_EDATA, "folder '%s' holds no file that matches '%s'", operand, pattern);
    if (l->n == first)
        return gen_fail(GEN_EDATA, "folder '%s' holds no radar file", operand);
    qsort(l->path + first, (size_t)(l->n - first), sizeof *l->path, by_name);
    return GEN_OK;
}

/* A bad pattern ends here. */
static gen_status check_pattern(const char *pattern)
{
    bool matches;
    int64_t time;
    return pattern ? gen_name_match(pattern, "", &matches, &time) : GEN_OK;
}

gen_status file_list_fill(file_list *l, const gen_run *r)
{
    const char *pattern = r->common.radar.pattern;
    GEN_TRY(check_pattern(pattern));
    for (int i = 0; i < r->n_operands; i++)
        GEN_TRY(add_operand(l, r->operands[i], pattern));
    return GEN_OK;
}

gen_status file_list_fill_option(file_list *l, const gen_run *r, const char *name)
{
    const char *pattern = r->common.radar.pattern;
    GEN_TRY(check_pattern(pattern));
    for (int i = 0; i < gen_run_given(r, name); i++)
        GEN_TRY(add_operand(l, gen_run_text(r, name, i), pattern));
    return GEN_OK;
}

void file_list_free(file_list *l)
{
    for (int i = 0; i < l->n; i++)
        gen_free(l->path[i]);
    gen_free(l->path);
    *l = (file_list){ 0 };
}

gen_status refuse_input(const file_list *l, const char *output)
{
    struct stat out, in;
    if (stat(output, &out) != 0)
        return GEN_OK;
    for (int i = 0; i < l->n; i++)
        if (stat(l->path[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return gen_fail(GEN_EINVAL, "'%s' is to be written, and is one of the inputs", output);
    return GEN_OK;
}

gen_status output_folder(const char *folder, bool *made)
{
    struct stat info;
    *made = mkdir(folder, 0777) == 0;
    if (!*made && errno != EEXIST)
        return gen_fail(GEN_EIO, "cannot make folder '%s': %s", folder, strerror(errno));
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return gen_fail(GEN_EINVAL, "'%s' is there and no folder", folder);
    if (access(folder, W_OK | X_OK) != 0)
        return gen_fail(GEN_EIO, "'%s': cannot write there: %s", folder, strerror(errno));
    return GEN_OK;
}

gen_status picture_file(const char *folder, const char *name, char **out)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    GEN_TRY(GEN_ALLOC(out, size, "a file name"));
    snprintf(*out, size, "%s/%s", folder, name);
    return GEN_OK;
}

gen_status picture_check(const char *folder, const char *name, bool force)
{
    char *path;
    GEN_TRY(picture_file(folder, name, &path));
    gen_status status = gen_output_check(path, force);
    gen_free(path);
    return status;
}

gen_status radar_options(gen_radar_read_options *out, const gen_run *r)
{
    const gen_radar_input *in = &r->common.radar;
    double zr[2] = { 0 };
    if (in->zr) {
        int n = 2;
        GEN_TRY(gen_parse_reals(in->zr, "option --zr", 0, 1e9, zr, &n));
        if (n != 2 || !(zr[0] > 0) || !(zr[1] > 0))
            return gen_fail(GEN_EINVAL, "option --zr '%.40s': expected two numbers above 0",
                            in->zr);
    }
    *out = (gen_radar_read_options){ .fill = (gen_radar_fill)in->fill_gap,
                                     .pattern = in->pattern,
                                     .variable = in->variable,
                                     .units = in->units,
                                     .interval = 60 * in->interval,
                                     .zr_a = zr[0],
                                     .zr_b = zr[1],
                                     .threshold = in->threshold,
                                     .palette = in->palette,
                                     .own_process = true,
                                     .untrusted = in->untrusted };
    return GEN_OK;
}

/* Exactly four numbers. */
static gen_status four(const char *text, const char *what, const char *expected, double low,
                       double v[4])
{
    int n = 4;
    GEN_TRY(gen_parse_reals(text, what, low, 1e9, v, &n));
    return n == 4 ? GEN_OK : gen_fail(GEN_EINVAL, "%s '%.40s': expected %s", what, text, expected);
}

gen_status radar_box(const gen_run *r, char *given, double v[4])
{
    const gen_radar_input *in = &r->common.radar;
    *given = 0;
    if (in->bbox && in->crop)
        return gen_fail(GEN_EINVAL, "--bbox and --crop: give one of them");
    if (in->bbox) {
        *given = 'b';
        return four(in->bbox, "option --bbox", "S,W,N,E in degrees", -1e9, v);
    }
    if (!in->crop)
        return GEN_OK;
    *given = 'c';
    GEN_TRY(four(in->crop, "option --crop", "Y,X,H,W in cells", 0, v));
    for (int i = 0; i < 4; i++)
        if (v[i] != floor(v[i]))
            return gen_fail(GEN_EINVAL, "option --crop '%.40s': expected whole numbers", in->crop);
    return GEN_OK;
}

gen_status radar_part(gen_radar_sequence *s, const gen_run *r)
{
    const gen_radar_input *in = &r->common.radar;
    double v[4];
    char given;
    GEN_TRY(radar_box(r, &given, v));
    if (given == 'b')
        GEN_TRY(gen_radar_crop_degrees(s, v[0], v[1], v[2], v[3]));
    if (given == 'c')
        GEN_TRY(gen_radar_crop(s, (int64_t)v[0], (int64_t)v[1], (int64_t)v[2], (int64_t)v[3]));
    return in->upscale > 1 ? gen_radar_upscale(s, in->upscale) : GEN_OK;
}

gen_status read_until(gen_radar_sequence **out, const gen_run *r, const file_list *l,
                      const char *at, int64_t frames)
{
    gen_radar_read_options o;
    char a[32], b[32];
    GEN_TRY(radar_options(&o, r));
    o.max_frames = frames;
    if (at) {
        GEN_TRY(gen_time_parse(at, &o.last));
        o.first = INT64_MIN;
    }
    GEN_TRY(gen_radar_read(out, (const char *const *)l->path, l->n, &o));
    int64_t newest = (*out)->time[(*out)->frames - 1];
    if (!at || newest == o.last) {
        gen_status status = radar_part(*out, r);
        if (status != GEN_OK)
            gen_radar_free(out);
        return status;
    }
    gen_radar_free(out);
    return gen_fail(GEN_EDATA, "no frame at %s, the one before is at %s", gen_time_text(o.last, a),
                    gen_time_text(newest, b));
}

gen_status history_text(char **out, const gen_run *r, const gen_backend *b)
{
    size_t size = strlen(r->command_line) + 512;
    const char *on = b ? ", on " : "", *name = b ? b->name : "";
    const char *text = b && b->text ? b->text : "";
    GEN_TRY(GEN_ALLOC(out, size, "history"));
    snprintf(*out, size, "%s (libgen %s%s%s%s%s)", r->command_line, gen_version(), on, name,
             *text ? ": " : "", text);
    return GEN_OK;
}

const char *time_title(int64_t t, char buf[40])
{
    char text[32];
    gen_time_text(t, text);
    snprintf(buf, 40, "%.10s %.*s UTC", text, t % 60 ? 8 : 5, text + 11);
    return buf;
}

void leave_hdf5_at_exit(void)
{
    void *program = dlopen(NULL, RTLD_LAZY); /* HDF5 comes with netCDF: no dependency of our own */
    if (!program)
        return;
    void *symbol = dlsym(program, "H5dont_atexit");
    int (*call)(void);
    memcpy(&call, &symbol, sizeof call); /* ISO C has no cast from a pointer to data */
    if (symbol)
        call();
    dlclose(program);
}
