/* SPDX-License-Identifier: Apache-2.0
 *
 * From the numbers of a file to mm/h: the one place that knows Z-R, intervals and thresholds. What
 * the caller asks for overrules what the file says, which overrules the defaults.
 */
#include <math.h>
#include <string.h>

#include "weather/codec/codec.h"

#define MARSHALL_PALMER_A 200.0 /* Marshall, Langille, Palmer 1947, as pysteps */
#define MARSHALL_PALMER_B 1.6
#define MOST_RAIN 1e9f /* mm/h; more is no number that anybody measured */

static const struct {
    const char *name;
    gen_radar_quantity quantity;
} known_units[] = {
    { "mm/h", GEN_RADAR_RATE },
    { "mm", GEN_RADAR_DEPTH },
    { "dBZ", GEN_RADAR_DBZ },
};

gen_status gen_radar_rate_prepare(gen_radar_file *f)
{
    const gen_radar_read_options *o = f->options;
    if (o->units) {
        int i = 0;
        while (i < GEN_LEN(known_units) && strcmp(o->units, known_units[i].name) != 0)
            i++;
        if (i == GEN_LEN(known_units))
            return gen_fail(GEN_EINVAL, "units '%.40s': expected mm/h, mm or dBZ", o->units);
        f->quantity = known_units[i].quantity;
        f->factor = 1;
    }
    if (f->quantity == GEN_RADAR_OTHER)
        return gen_fail(GEN_EDATA, "'%s': %s is no rain: expected a rain rate, a depth or dBZ",
                        f->path, f->name ? f->name : "what it holds");
    f->interval = o->interval > 0 ? o->interval : f->interval;
    f->zr_a = o->zr_a > 0 ? o->zr_a : f->zr_a > 0 ? f->zr_a : MARSHALL_PALMER_A;
    f->zr_b = o->zr_b > 0 ? o->zr_b : f->zr_b > 0 ? f->zr_b : MARSHALL_PALMER_B;
    if (f->quantity == GEN_RADAR_DEPTH && !(f->interval > 0))
        return gen_fail(GEN_EDATA,
                        "'%s': %s is a depth of rain, but the file does not say in which time it "
                        "fell: give the interval",
                        f->path, f->name ? f->name : "what it holds");
    return GEN_OK;
}

static float bounded(float rain, float threshold)
{
    rain = rain < threshold ? 0 : rain;
    return rain <= MOST_RAIN ? rain : NAN;
}

/* R = (10^(dBZ/10) / a)^(1/b). Radar files hold few different values, so each power is computed
 * about once and then found again. */
static void convert_dbz(const gen_radar_file *f, float *values, int64_t n)
{
    enum { ENTRIES = 1024 };
    struct {
        float dbz, rain;
    } seen[ENTRIES];
    for (int i = 0; i < ENTRIES; i++)
        seen[i].dbz = seen[i].rain = NAN;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        if (isnan(values[i]))
            continue;
        memcpy(&bits, &values[i], sizeof bits);
        uint32_t at = bits * 2654435761u >> 22;
        if (seen[at].dbz != values[i]) {
            seen[at].dbz = values[i];
            seen[at].rain =
                bounded((float)pow(pow(10, (double)values[i] / 10) / f->zr_a, 1 / f->zr_b),
                        (float)f->options->threshold);
        }
        values[i] = seen[at].rain;
    }
}

/* Without branches: vectors are made of it. */
static float amount(float v, double factor, float threshold)
{
    v = v == GEN_UNDETECTED ? 0 : v;
    float rain = (float)((double)v * factor), wet = rain < threshold ? 0 : rain;
    float known = v < 0 ? NAN : wet;
    return rain > MOST_RAIN ? NAN : known;
}

void gen_radar_rate_convert(const gen_radar_file *f, float *values, int64_t n)
{
    double factor = f->quantity == GEN_RADAR_DEPTH ? f->factor * (3600 / f->interval) : f->factor;
    float threshold = (float)f->options->threshold;
    if (f->quantity == GEN_RADAR_DBZ) {
        convert_dbz(f, values, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        values[i] = amount(values[i], factor, threshold);
}
