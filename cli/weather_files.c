/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/weather_files.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libgen/base/alloc.h"

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

static gen_status add_folder(file_list *l, const char *folder)
{
    gen_status status = GEN_OK;
    int first = l->n;
    DIR *d = opendir(folder);
    if (!d)
        return gen_fail(GEN_EDATA, "cannot read folder '%s': %s", folder, strerror(errno));
    for (struct dirent *e = readdir(d); e && status == GEN_OK; e = readdir(d)) {
        size_t n = strlen(e->d_name);
        if (e->d_name[0] != '.' && n > 3 && strcmp(e->d_name + n - 3, ".nc") == 0)
            status = add_copy(l, folder, e->d_name);
    }
    closedir(d);
    if (status == GEN_OK && l->n == first)
        return gen_fail(GEN_EDATA, "folder '%s' holds no .nc file", folder);
    if (status == GEN_OK)
        qsort(l->path + first, (size_t)(l->n - first), sizeof *l->path, by_name);
    return status;
}

gen_status file_list_fill(file_list *l, const char *const *operands, int n)
{
    *l = (file_list){ 0 };
    for (int i = 0; i < n; i++) {
        struct stat info;
        bool folder = stat(operands[i], &info) == 0 && S_ISDIR(info.st_mode);
        GEN_TRY(folder ? add_folder(l, operands[i]) : add_copy(l, NULL, operands[i]));
    }
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
            return gen_fail(GEN_EINVAL, "-o '%s': is one of the inputs", output);
    return GEN_OK;
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
    if (!at || newest == o.last)
        return GEN_OK;
    gen_radar_free(out);
    return gen_fail(GEN_EDATA, "no frame at %s, the one before is at %s", gen_time_text(o.last, a),
                    gen_time_text(newest, b));
}

gen_status history_text(char **out, const gen_run *r)
{
    size_t size = strlen(r->command_line) + 64;
    GEN_TRY(GEN_ALLOC(out, size, "history"));
    snprintf(*out, size, "%s (libgen %s)", r->command_line, gen_version());
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
