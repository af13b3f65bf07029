/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes of netCDF files. They are hostile: sizes are asked for before memory is, and text
 * where a number belongs is an error that names the attribute.
 */
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"
#include "weather/codec/netcdf_reader.h"

#define MAX_TEXT 65536 /* bytes of an attribute */
#define MAX_NUMBERS 64
#define MAX_ATTRIBUTES 200

const char *gen_netcdf_variable_name(const gen_radar_file *f, int variable,
                                     char buf[NC_MAX_NAME + 1])
{
    const gen_netcdf_state *k = f->state;
    if (variable == NC_GLOBAL || nc_inq_varname(k->nc, variable, buf) != NC_NOERR)
        buf[0] = 0;
    return buf;
}

static gen_status unreadable(const gen_radar_file *f, const char *owner, const char *name)
{
    return gen_fail(GEN_EDATA, "'%s': cannot read attribute '%s:%s'", f->path, owner, name);
}

/* Of n bytes (NC_CHAR) or one string. */
static gen_status copy_text(const gen_radar_file *f, int variable, const char *name, nc_type type,
                            size_t n, char **out)
{
    const gen_netcdf_state *k = f->state;
    char owner[NC_MAX_NAME + 1], *text = NULL;
    gen_status status = GEN_OK;
    gen_netcdf_variable_name(f, variable, owner);
    if (type == NC_STRING) {
        if (nc_get_att_string(k->nc, variable, name, &text) != NC_NOERR || !text)
            status = unreadable(f, owner, name);
        else if (strlen(text) <= MAX_TEXT)
            status = gen_strdup(out, text);
        nc_free_string(1, &text);
        return status;
    }
    GEN_TRY(GEN_ALLOC(out, n + 1, "attribute"));
    if (nc_get_att_text(k->nc, variable, name, *out) == NC_NOERR)
        return GEN_OK;
    gen_free(*out);
    *out = NULL;
    return unreadable(f, owner, name);
}

gen_status gen_netcdf_read_text(const gen_radar_file *f, int variable, const char *name, char **out)
{
    const gen_netcdf_state *k = f->state;
    char owner[NC_MAX_NAME + 1];
    nc_type type;
    size_t n;
    *out = NULL;
    if (nc_inq_att(k->nc, variable, name, &type, &n) != NC_NOERR)
        return GEN_OK;
    gen_netcdf_variable_name(f, variable, owner);
    if ((type != NC_CHAR && type != NC_STRING) || (type == NC_STRING && n != 1))
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' is no text", f->path, owner, name);
    if (n > MAX_TEXT)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' has %zu bytes, expected at most %d",
                        f->path, owner, name, n, MAX_TEXT);
    return copy_text(f, variable, name, type, n, out);
}

const char *gen_netcdf_read_word(const gen_radar_file *f, int variable, const char *name,
                                 char buf[GEN_NETCDF_WORD])
{
    const gen_netcdf_state *k = f->state;
    nc_type type;
    size_t n;
    buf[0] = 0;
    if (nc_inq_att(k->nc, variable, name, &type, &n) != NC_NOERR)
        return buf;
    if (type == NC_CHAR && n < GEN_NETCDF_WORD && nc_get_att_text(k->nc, variable, name, buf) == 0)
        buf[n] = 0;
    if (type == NC_STRING && n == 1) {
        char *text = NULL;
        if (nc_get_att_string(k->nc, variable, name, &text) == NC_NOERR && text &&
            strlen(text) < GEN_NETCDF_WORD)
            memcpy(buf, text, strlen(text) + 1);
        nc_free_string(1, &text);
    }
    return buf;
}

gen_status gen_netcdf_read_numbers(const gen_radar_file *f, int variable, const char *name,
                                   double *out, int *n)
{
    const gen_netcdf_state *k = f->state;
    char owner[NC_MAX_NAME + 1];
    nc_type type;
    size_t count;
    int capacity = *n;
    *n = 0;
    if (nc_inq_att(k->nc, variable, name, &type, &count) != NC_NOERR)
        return GEN_OK;
    gen_netcdf_variable_name(f, variable, owner);
    if (type == NC_CHAR || type == NC_STRING || type > NC_MAX_ATOMIC_TYPE)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' is text, expected a number", f->path,
                        owner, name);
    if (count < 1 || count > (size_t)capacity)
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' holds %zu numbers, expected %s%d",
                        f->path, owner, name, count, capacity > 1 ? "at most " : "", capacity);
    if (nc_get_att_double(k->nc, variable, name, out) != NC_NOERR)
        return unreadable(f, owner, name);
    *n = (int)count;
    return GEN_OK;
}

gen_status gen_netcdf_read_number(const gen_radar_file *f, int variable, const char *name,
                                  double preset, double *out)
{
    char owner[NC_MAX_NAME + 1];
    int n = 1;
    GEN_TRY(gen_netcdf_read_numbers(f, variable, name, out, &n));
    if (n == 0)
        *out = preset;
    if (!isfinite(*out))
        return gen_fail(GEN_EDATA, "'%s': attribute '%s:%s' is not finite", f->path,
                        gen_netcdf_variable_name(f, variable, owner), name);
    return GEN_OK;
}

/* One attribute as JSON; what JSON cannot hold is left out. */
static gen_status put_attribute(gen_json_writer *w, const gen_radar_file *f, int variable,
                                const char *name)
{
    const gen_netcdf_state *k = f->state;
    nc_type type;
    size_t n;
    double numbers[MAX_NUMBERS];
    if (nc_inq_att(k->nc, variable, name, &type, &n) != NC_NOERR || n < 1 || name[0] == '_')
        return GEN_OK;
    if (type == NC_CHAR || (type == NC_STRING && n == 1)) {
        char *text = NULL;
        GEN_TRY(gen_netcdf_read_text(f, variable, name, &text));
        gen_json_put_string(w, name, text);
        gen_free(text);
        return GEN_OK;
    }
    if (type == NC_STRING || type > NC_MAX_ATOMIC_TYPE || n > (size_t)GEN_LEN(numbers) ||
        nc_get_att_double(k->nc, variable, name, numbers) != NC_NOERR)
        return GEN_OK;
    /* CF gives them in the units of x and y, which are metres here. */
    if (strcmp(name, "false_easting") == 0 || strcmp(name, "false_northing") == 0)
        numbers[0] *= k->metres;
    if (n > 1)
        gen_json_open(w, name, '[');
    for (size_t i = 0; i < n; i++)
        gen_json_put_real(w, n > 1 ? NULL : name, numbers[i]);
    if (n > 1)
        gen_json_close(w, ']');
    return GEN_OK;
}

gen_status gen_netcdf_read_all(gen_radar_file *f, int variable, char **out)
{
    gen_status status = GEN_OK;
    const gen_netcdf_state *k = f->state;
    gen_json_writer w = { 0 };
    char name[NC_MAX_NAME + 1];
    int n = 0;
    nc_inq_varnatts(k->nc, variable, &n);
    gen_json_open(&w, NULL, '{');
    for (int i = 0; i < n && i < MAX_ATTRIBUTES && status == GEN_OK; i++)
        if (nc_inq_attname(k->nc, variable, i, name) == NC_NOERR)
            status = put_attribute(&w, f, variable, name);
    gen_json_close(&w, '}');
    gen_status finished = gen_json_finish(&w, out);
    return status ? status : finished;
}
