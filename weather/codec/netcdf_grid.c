/* SPDX-License-Identifier: Apache-2.0
 *
 * The grid of a netCDF file: which dimensions are time, y and x, their coordinates, the projection.
 */
#include <math.h>
#include <string.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"
#include "weather/codec/netcdf_reader.h"
#include "weather/projection.h"

#define MAX_SIDE 65536 /* cells along an axis */
#define MAX_FRAMES 10000000
#define MAX_MEMBERS 100000
#define MAX_CHUNK ((uint64_t)1 << 30) /* bytes */

gen_status gen_netcdf_broken(const gen_radar_file *f, int code, const char *what)
{
    return gen_fail(GEN_EDATA, "'%s': cannot read %s: %s", f->path, what, nc_strerror(code));
}

gen_status gen_netcdf_check_type(const gen_radar_file *f, int variable, nc_type *type)
{
    const gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1];
    int code = nc_inq_vartype(k->nc, variable, type);
    gen_netcdf_variable_name(f, variable, name);
    if (code != NC_NOERR)
        return gen_netcdf_broken(f, code, name);
    if (*type != NC_CHAR && *type < NC_STRING)
        return GEN_OK;
    return gen_fail(GEN_EDATA, "'%s': variable %s is %s, expected numbers", f->path, name,
                    *type == NC_CHAR || *type == NC_STRING ? "text" : "of a type of its own");
}

gen_status gen_netcdf_check_chunks(const gen_radar_file *f, int variable)
{
    const gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1];
    size_t chunk[GEN_NETCDF_RANK] = { 0 }, size = 8;
    int storage = NC_CONTIGUOUS, rank = 0;
    nc_type type = NC_DOUBLE;
    if (nc_inq_varndims(k->nc, variable, &rank) != NC_NOERR || rank > GEN_NETCDF_RANK ||
        nc_inq_var_chunking(k->nc, variable, &storage, chunk) != NC_NOERR || storage != NC_CHUNKED)
        return GEN_OK;
    nc_inq_vartype(k->nc, variable, &type);
    nc_inq_type(k->nc, type, NULL, &size);
    uint64_t n = size;
    for (int i = 0; i < rank; i++)
        n = chunk[i] && n <= MAX_CHUNK ? n * (chunk[i] > MAX_CHUNK ? MAX_CHUNK : chunk[i]) : n;
    if (n > MAX_CHUNK)
        return gen_fail(GEN_EDATA, "'%s': variable %s has chunks of more than 1 GB", f->path,
                        gen_netcdf_variable_name(f, variable, name));
    return GEN_OK;
}

/* ---- axes -------------------------------------------------------------------------------- */

static bool one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

char gen_netcdf_axis(const gen_radar_file *f, int variable)
{
    static const char *const xs[] = { "projection_x_coordinate",
                                      "longitude",
                                      "grid_longitude",
                                      "projection_x_angular_coordinate",
                                      "x",
                                      "lon",
                                      NULL };
    static const char *const ys[] = { "projection_y_coordinate",
                                      "latitude",
                                      "grid_latitude",
                                      "projection_y_angular_coordinate",
                                      "y",
                                      "lat",
                                      NULL };
    char buf[GEN_NETCDF_WORD], name[NC_MAX_NAME + 1];
    const char *axis = gen_netcdf_read_word(f, variable, "axis", buf);
    if (axis[0] && !axis[1] && strchr("TYX", axis[0]))
        return axis[0];
    const char *standard = gen_netcdf_read_word(f, variable, "standard_name", buf);
    if (one_of(standard, xs) || one_of(standard, ys))
        return one_of(standard, xs) ? 'X' : 'Y';
    const char *units = gen_netcdf_read_word(f, variable, "units", buf);
    if (strstr(units, " since "))
        return 'T';
    if (strncmp(units, "degrees_n", 9) == 0 || strncmp(units, "degrees_e", 9) == 0)
        return units[8] == 'n' ? 'Y' : 'X';
    gen_netcdf_variable_name(f, variable, name);
    return one_of(name, xs) ? 'X' : one_of(name, ys) ? 'Y' : strcmp(name, "time") == 0 ? 'T' : 0;
}

static bool lies_along(const gen_radar_file *f, int variable, int dim)
{
    const gen_netcdf_state *k = f->state;
    int rank = 0, own = -1;
    return nc_inq_varndims(k->nc, variable, &rank) == NC_NOERR && rank == 1 &&
           nc_inq_vardimid(k->nc, variable, &own) == NC_NOERR && own == dim;
}

int gen_netcdf_coordinate(const gen_radar_file *f, int dim, char axis)
{
    const gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1] = "";
    int variable, n = 0;
    nc_inq_dimname(k->nc, dim, name);
    if (nc_inq_varid(k->nc, name, &variable) == NC_NOERR && lies_along(f, variable, dim))
        return variable;
    nc_inq_nvars(k->nc, &n);
    for (int v = 0; v < n; v++)
        if (lies_along(f, v, dim) && gen_netcdf_axis(f, v) == axis)
            return v;
    return -1;
}

gen_status gen_netcdf_coordinate_values(gen_radar_file *f, int variable, int64_t n, double *out)
{
    const gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1];
    nc_type type;
    gen_netcdf_variable_name(f, variable, name);
    GEN_TRY(gen_netcdf_check_type(f, variable, &type));
    GEN_TRY(gen_netcdf_check_chunks(f, variable));
    int code = nc_get_var_double(k->nc, variable, out);
    if (code != NC_NOERR && code != NC_ERANGE)
        return gen_netcdf_broken(f, code, name);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(out[i]))
            return gen_fail(GEN_EDATA, "'%s': %s[%lld] is %g, expected a finite number", f->path,
                            name, (long long)i, out[i]);
    return GEN_OK;
}

/* What a dimension is, by its coordinate or its name. */
static char dimension_axis(const gen_radar_file *f, int dim)
{
    const gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1] = "";
    int variable;
    nc_inq_dimname(k->nc, dim, name);
    if (nc_inq_varid(k->nc, name, &variable) == NC_NOERR && lies_along(f, variable, dim))
        return gen_netcdf_axis(f, variable);
    static const char axes[] = "TYX";
    for (int i = 0; i < 3; i++)
        if (gen_netcdf_coordinate(f, dim, axes[i]) >= 0)
            return axes[i];
    return strcmp(name, "time") == 0 ? 'T' : 0;
}

/* Of the dimensions before y and x one may be time, and one the members of an ensemble; the others
 * have one value. */
static gen_status find_leading_axes(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    char name[NC_MAX_NAME + 1] = "";
    int leading = k->rank - 2;
    k->time_axis = k->member_axis = -1;
    for (int i = 0; i < leading; i++)
        if (k->time_axis < 0 && dimension_axis(f, k->dims[i]) == 'T')
            k->time_axis = i;
    for (int i = leading - 1; i >= 0 && k->time_axis < 0; i--)
        if (k->size[i] > 1)
            k->time_axis = i;
    for (int i = 0; i < leading; i++) {
        if (i == k->time_axis || k->size[i] == 1)
            continue;
        if (k->member_axis < 0 && k->size[i] >= 1 && k->size[i] <= MAX_MEMBERS) {
            k->member_axis = i;
            continue;
        }
        nc_inq_dimname(k->nc, k->dims[i], name);
        return gen_fail(GEN_EDATA, "'%s': variable %s holds %zu values of %s, expected one",
                        f->path, f->name, k->size[i], name);
    }
    return GEN_OK;
}

gen_status gen_netcdf_find_axes(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    const int *last = k->dims + k->rank - 2;
    GEN_TRY(find_leading_axes(f));
    k->transposed = dimension_axis(f, last[0]) == 'X' && dimension_axis(f, last[1]) == 'Y';
    const size_t members = k->member_axis >= 0 ? k->size[k->member_axis] : 1;
    const size_t frames = k->time_axis >= 0 ? k->size[k->time_axis] : 1;
    const size_t a = k->size[k->rank - 2], b = k->size[k->rank - 1];
    if (frames < 1 || frames > MAX_FRAMES / members || a < 1 || a > MAX_SIDE || b < 1 ||
        b > MAX_SIDE)
        return gen_fail(GEN_EDATA,
                        "'%s': variable %s is %zu x %zu x %zu, expected at least one frame"
                        " and at most %d cells a side",
                        f->path, f->name, frames, a, b, MAX_SIDE);
    f->frames = (int64_t)frames;
    f->members = (int64_t)members;
    f->grid.height = (int64_t)(k->transposed ? b : a);
    f->grid.width = (int64_t)(k->transposed ? a : b);
    return GEN_OK;
}

static int direction(const double *v, int64_t n)
{
    int sign = n > 1 && v[1] < v[0] ? -1 : 1;
    for (int64_t i = 1; i < n; i++)
        if (!((v[i] - v[i - 1]) * sign > 0))
            return 0;
    return sign;
}

static void reverse(double *v, int64_t n)
{
    for (int64_t i = 0, j = n - 1; i < j; i++, j--) {
        double t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}

/* Degrees stay, lengths become metres. */
static void scale_axis(gen_radar_file *f, int variable, double *v, int64_t n, bool *degrees)
{
    gen_netcdf_state *k = f->state;
    char units[GEN_NETCDF_WORD], standard[GEN_NETCDF_WORD];
    gen_netcdf_read_word(f, variable, "units", units);
    gen_netcdf_read_word(f, variable, "standard_name", standard);
    *degrees =
        strncmp(units, "degree", 6) == 0 ||
        (!units[0] && (strcmp(standard, "longitude") == 0 || strcmp(standard, "latitude") == 0));
    double metres = *degrees ? 0 : gen_netcdf_metres(units);
    for (int64_t i = 0; i < n && metres > 0 && metres != 1; i++)
        v[i] *= metres;
    if (metres > 0)
        k->metres = metres;
}

static gen_status read_axes(gen_radar_file *f)
{
    gen_netcdf_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    const int *last = k->dims + k->rank - 2;
    bool north_degrees;
    int vy = gen_netcdf_coordinate(f, last[k->transposed], 'Y');
    int vx = gen_netcdf_coordinate(f, last[!k->transposed], 'X');
    GEN_TRY(GEN_ALLOC(&g->y, g->height, "grid: y"));
    GEN_TRY(GEN_ALLOC(&g->x, g->width, "grid: x"));
    if (vx < 0 || vy < 0) {
        f->numbered = true;
        for (int64_t i = 0; i < g->width; i++)
            g->x[i] = (double)i;
        for (int64_t i = 0; i < g->height; i++)
            g->y[i] = (double)(g->height - 1 - i);
        return GEN_OK;
    }
    GEN_TRY(gen_netcdf_coordinate_values(f, vy, g->height, g->y));
    GEN_TRY(gen_netcdf_coordinate_values(f, vx, g->width, g->x));
    int dy = direction(g->y, g->height), dx = direction(g->x, g->width);
    if (dx == 0 || dy == 0)
        return gen_fail(GEN_EDATA, "'%s': the %s coordinate neither rises nor falls throughout",
                        f->path, dx == 0 ? "x" : "y");
    k->south_first = dy > 0 && g->height > 1;
    k->east_first = dx < 0;
    if (k->south_first)
        reverse(g->y, g->height);
    if (k->east_first)
        reverse(g->x, g->width);
    scale_axis(f, vy, g->y, g->height, &north_degrees);
    scale_axis(f, vx, g->x, g->width, &g->degrees);
    return GEN_OK;
}

/* ---- projection -------------------------------------------------------------------------- */

/* The variable that grid_mapping names ("crs", or "crs: x y"), or the only one that has a
 * grid_mapping_name; -1: none. */
static int mapping_variable(const gen_radar_file *f)
{
    const gen_netcdf_state *k = f->state;
    char name[GEN_NETCDF_WORD], word[GEN_NETCDF_WORD];
    int variable, found = -1, n = 0;
    gen_netcdf_read_word(f, k->rain, "grid_mapping", name);
    name[strcspn(name, ": ")] = 0;
    if (name[0])
        return nc_inq_varid(k->nc, name, &variable) == NC_NOERR ? variable : -1;
    nc_inq_nvars(k->nc, &n);
    for (int v = 0; v < n; v++) {
        if (!gen_netcdf_read_word(f, v, "grid_mapping_name", word)[0])
            continue;
        if (found >= 0)
            return -1;
        found = v;
    }
    return found;
}

/* A geostationary view is measured in angles: metres at the height of the satellite. */
static gen_status from_angles(gen_radar_file *f, int mapping)
{
    gen_netcdf_state *k = f->state;
    gen_radar_grid *g = &f->grid;
    char units[GEN_NETCDF_WORD];
    double height;
    int vx = gen_netcdf_coordinate(f, k->dims[k->rank - 1 - k->transposed], 'X');
    if (vx < 0 || strncmp(gen_netcdf_read_word(f, vx, "units", units), "rad", 3) != 0)
        return GEN_OK;
    GEN_TRY(gen_netcdf_read_number(f, mapping, "perspective_point_height", 1, &height));
    for (int64_t i = 0; i < g->width; i++)
        g->x[i] *= height;
    for (int64_t i = 0; i < g->height; i++)
        g->y[i] *= height;
    return GEN_OK;
}

/* A PROJ string for files that have the CF attributes alone. What PROJ does not know is carried. */
static gen_status make_string(gen_radar_file *f)
{
    gen_status status = gen_projection_string(&f->grid, &f->grid.proj4);
    if (status != GEN_EDATA)
        return status;
    gen_log(GEN_LOG_WARN, "'%s': %s", f->path, gen_last_error());
    return GEN_OK;
}

/* Large numbers may become infinite in metres, or equal. */
static gen_status check_grid(const gen_radar_file *f)
{
    const gen_radar_grid *g = &f->grid;
    bool fine = isfinite(g->x[0]) && isfinite(g->y[0]);
    for (int64_t i = 1; i < g->width; i++)
        fine = fine && isfinite(g->x[i]) && g->x[i] > g->x[i - 1];
    for (int64_t i = 1; i < g->height; i++)
        fine = fine && isfinite(g->y[i]) && g->y[i] < g->y[i - 1];
    return fine ? GEN_OK : gen_fail(GEN_EDATA, "'%s': x and y are no grid in metres", f->path);
}

gen_status gen_netcdf_read_grid(gen_radar_file *f)
{
    gen_radar_grid *g = &f->grid;
    GEN_TRY(read_axes(f));
    int variable = mapping_variable(f);
    if (variable >= 0) {
        GEN_TRY(gen_netcdf_read_text(f, variable, "grid_mapping_name", &g->mapping_name));
        GEN_TRY(gen_netcdf_read_text(f, variable, "proj4", &g->proj4));
        GEN_TRY(gen_netcdf_read_all(f, variable, &g->attributes));
        if (g->mapping_name && strcmp(g->mapping_name, "geostationary") == 0)
            GEN_TRY(from_angles(f, variable));
    }
    if (!g->proj4)
        GEN_TRY(gen_netcdf_read_text(f, NC_GLOBAL, "proj4", &g->proj4));
    char word[GEN_NETCDF_WORD]; /* of pysteps */
    if (!g->proj4 && strstr(gen_netcdf_read_word(f, NC_GLOBAL, "projection", word), "+proj="))
        GEN_TRY(gen_netcdf_read_text(f, NC_GLOBAL, "projection", &g->proj4));
    GEN_TRY(check_grid(f));
    return g->proj4 || !g->mapping_name ? GEN_OK : make_string(f);
}
