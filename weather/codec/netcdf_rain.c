/* SPDX-License-Identifier: Apache-2.0
 *
 * Which variable of a netCDF file is the rain, and what its numbers are.
 *
 * The variable that was asked for ("precip", "Grid/precipitation"), else rain_rate, else the only
 * rain rate, else the only depth of rain, else the only reflectivity (those whose words speak of
 * rain before others): of the root group, else of the groups in it. mm/h and dBZ say by themselves
 * what they are; a depth (mm, kg m-2) and a flux (kg m-2 s-1, m s-1) are rain when standard_name,
 * long_name or the name say so.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "weather/codec/netcdf_reader.h"

#define MAX_GROUPS 64

/* Does `text` hold one of the words? In lower case. */
static bool speaks_of(const char *text, const char *const *words)
{
    char lower[NC_MAX_NAME + 1];
    size_t n = 0;
    for (; text[n] && n < sizeof lower - 1; n++)
        lower[n] = (char)tolower((unsigned char)text[n]);
    lower[n] = 0;
    for (; *words; words++)
        if (strstr(lower, *words))
            return true;
    return false;
}

static bool is_rain(const gen_radar_file *f, int variable)
{
    static const char *const rain[] = { "rain", "precip", NULL };
    char buf[GEN_NETCDF_WORD], name[NC_MAX_NAME + 1];
    const char *standard = gen_netcdf_read_word(f, variable, "standard_name", buf);
    if (standard[0])
        return speaks_of(standard, rain);
    return speaks_of(gen_netcdf_read_word(f, variable, "long_name", buf), rain) ||
           speaks_of(gen_netcdf_variable_name(f, variable, name), rain);
}

static gen_radar_quantity quantity_of(const gen_radar_file *f, int variable, double *factor)
{
    char buf[GEN_NETCDF_WORD];
    const char *units = gen_netcdf_read_word(f, variable, "units", buf);
    gen_netcdf_unit u;
    gen_radar_quantity q = gen_netcdf_quantity(units, factor);
    bool sure = q == GEN_RADAR_DBZ;
    if (q == GEN_RADAR_RATE && gen_netcdf_parse_unit(units, strlen(units), &u))
        sure = u.mass == 0 && u.factor < 1e5; /* millimetres in some time, not metres a second */
    bool reflects = q == GEN_RADAR_OTHER && (units[0] == 0 || strcmp(units, "1") == 0) &&
                    strncmp(gen_netcdf_read_word(f, variable, "standard_name", buf),
                            "equivalent_reflectivity_factor", 30) == 0;
    if (reflects)
        return GEN_RADAR_DBZ;
    return sure || q == GEN_RADAR_OTHER || is_rain(f, variable) ? q : GEN_RADAR_OTHER;
}

/* ---- choosing ---------------------------------------------------------------------------- */

static bool is_field(const gen_radar_file *f, int variable)
{
    const gen_netcdf_state *k = f->state;
    int rank;
    return nc_inq_varndims(k->nc, variable, &rank) == NC_NOERR && rank >= 2 &&
           rank <= GEN_NETCDF_RANK;
}

/* The only field of this quantity, of those that speak of rain or of all; k->rain -1: none. */
static gen_status search_fields(gen_radar_file *f, gen_radar_quantity quantity, bool speaking)
{
    gen_netcdf_state *k = f->state;
    char first[NC_MAX_NAME + 1], second[NC_MAX_NAME + 1];
    double factor;
    int n = 0;
    nc_inq_nvars(k->nc, &n);
    for (int v = 0; v < n; v++) {
        if (!is_field(f, v) || quantity_of(f, v, &factor) != quantity ||
            (speaking && !is_rain(f, v)))
            continue;
        if (k->rain >= 0)
            return gen_fail(GEN_EDATA,
                            "'%s' holds several fields of rain, '%s' and '%s': name the variable",
                            f->path, gen_netcdf_variable_name(f, k->rain, first),
                            gen_netcdf_variable_name(f, v, second));
        k->rain = v;
    }
    return GEN_OK;
}

/* The rain of the group k->nc: GEN_OK with k->rain -1 when there is none. */
static gen_status search_group(gen_radar_file *f)
{
    static const gen_radar_quantity order[] = { GEN_RADAR_RATE, GEN_RADAR_DEPTH, GEN_RADAR_DBZ };
    gen_netcdf_state *k = f->state;
    k->rain = -1;
    for (int i = 0; i < 2 * GEN_LEN(order) && k->rain < 0; i++)
        GEN_TRY(search_fields(f, order[i / 2], i % 2 == 0));
    return GEN_OK;
}

static gen_status search(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    int n = 0, groups[MAX_GROUPS];
    if (nc_inq_varid(k->nc, "rain_rate", &k->rain) == NC_NOERR)
        return GEN_OK;
    GEN_TRY(search_group(f));
    if (k->rain >= 0 || nc_inq_grps(k->file, &n, NULL) != NC_NOERR || n > MAX_GROUPS)
        n = 0;
    if (n > 0)
        nc_inq_grps(k->file, &n, groups);
    for (int i = 0; i < n && k->rain < 0; i++) {
        k->nc = groups[i];
        GEN_TRY(search_group(f));
    }
    return k->rain >= 0 ? GEN_OK
                        : gen_fail(GEN_EDATA,
                                   "'%s' holds no rain: expected a rate (mm h-1), a depth (mm, "
                                   "kg m-2) or a reflectivity (dBZ)",
                                   f->path);
}

/* A variable by name, in a group as in a folder. */
static gen_status named(gen_radar_file *f, const char *name)
{
    gen_netcdf_state *k = f->state;
    const char *slash = strrchr(name, '/');
    char group[NC_MAX_NAME + 1];
    size_t n = slash ? (size_t)(slash - name) : 0;
    bool found = n < sizeof group;
    if (found && n > 0) {
        memcpy(group, name, n);
        group[n] = 0;
        found = nc_inq_grp_full_ncid(k->file, group, &k->nc) == NC_NOERR;
    }
    if (!found || nc_inq_varid(k->nc, slash ? slash + 1 : name, &k->rain) != NC_NOERR)
        return gen_fail(GEN_EDATA, "'%s' holds no variable '%.60s'", f->path, name);
    return GEN_OK;
}

static gen_status describe(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1], path[2 * NC_MAX_NAME + 4], group[NC_MAX_NAME + 1] = "";
    gen_netcdf_variable_name(f, k->rain, name);
    if (k->nc != k->file)
        nc_inq_grpname(k->nc, group);
    snprintf(path, sizeof path, "%s%s%s", group, group[0] ? "/" : "", name);
    GEN_TRY(gen_strdup(&f->name, path));
    GEN_TRY(gen_netcdf_read_text(f, k->rain, "units", &f->units));
    f->quantity = quantity_of(f, k->rain, &f->factor);
    if (f->quantity == GEN_RADAR_OTHER && f->units) /* asked for by name */
        f->quantity = gen_netcdf_quantity(f->units, &f->factor);
    GEN_TRY(gen_netcdf_check_type(f, k->rain, &k->type));
    if (nc_inq_varndims(k->nc, k->rain, &k->rank) != NC_NOERR || k->rank < 2 ||
        k->rank > GEN_NETCDF_RANK)
        return gen_fail(GEN_EDATA, "'%s': variable %s has %d dimensions, expected (time,y,x)",
                        f->path, f->name, k->rank);
    int code = nc_inq_vardimid(k->nc, k->rain, k->dims);
    for (int i = 0; i < k->rank && code == NC_NOERR; i++)
        code = nc_inq_dimlen(k->nc, k->dims[i], &k->size[i]);
    return code == NC_NOERR ? GEN_OK : gen_netcdf_broken(f, code, "dimensions");
}

gen_status gen_netcdf_find_rain(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    k->nc = k->file;
    GEN_TRY(f->options->variable ? named(f, f->options->variable) : search(f));
    return describe(f);
}
