/* SPDX-License-Identifier: Apache-2.0
 *
 * Validation of a generator on fixed crops. One plan in eval mode, whose weights may vary, serves
 * the whole training; it draws one member at a time, and computes what hangs on the crop once.
 */
#include "weather/dgmr_validate.h"

#include <math.h>
#include <string.h>

#include <libgen/metrics.h>
#include <libgen/random.h>

#include "libgen/base/alloc.h"
#include "libgen/base/json.h"

enum { SHOWN = 3 }; /* members in the picture */

struct gen_dgmr_validation {
    gen_dgmr_config c;
    int64_t crops, size, members, frames, cells, step_s;
    float *rain;     /* [crops,frames,cells], NaN where missing */
    int64_t wettest; /* the crop that is shown */
    float *shown;    /* [1+SHOWN,frames,cells] */
    float *drawn;    /* [members,steps,cells] */
    gen_plan *plan;
};

static gen_status make_plan(gen_dgmr_validation *v, gen_params *params, gen_backend *backend)
{
    static const char *const slow[] = { "frames", NULL };
    const gen_plan_options options = { .params_vary = 1, .slow = slow };
    gen_net net = { 0 };
    GEN_TRY(gen_graph_create(&net.g));
    gen_node *frames =
        gen_input(net.g, "frames", GEN_F32, GEN_SHAPE(1, v->c.frames, v->size, v->size, 1));
    gen_node *z = gen_input(net.g, "z", GEN_F32,
                            GEN_SHAPE(1, v->size / 32, v->size / 32, v->c.z_channels));
    gen_node *rain = gen_dgmr_draws(&net, &v->c, frames, z);
    gen_status status = gen_graph_status(net.g);
    if (!status)
        status = gen_plan_create(&v->plan, net.g, &rain, 1, params, backend, &options);
    gen_net_free(&net);
    gen_graph_free(&net.g);
    return status;
}

static gen_status take_crops(gen_dgmr_validation *v, gen_dgmr_sample_fn *sample, void *cookie)
{
    gen_status status = GEN_OK;
    const char *source;
    float *mask = NULL;
    double most = -1;
    GEN_TRY(GEN_ALLOC(&mask, v->frames * v->cells, "a crop"));
    for (int64_t i = 0; i < v->crops && status == GEN_OK; i++) {
        float *rain = v->rain + i * v->frames * v->cells;
        double sum = 0;
        status = sample(cookie, i, rain, mask, &source);
        for (int64_t k = 0; k < v->frames * v->cells; k++) {
            sum += (double)rain[k];
            rain[k] = mask[k] > 0 ? rain[k] : NAN;
        }
        v->wettest = sum > most ? i : v->wettest;
        most = sum > most ? sum : most;
    }
    gen_free(mask);
    return status;
}

gen_status gen_dgmr_validation_create(gen_dgmr_validation **out, gen_params *params,
                                      gen_backend *backend, const gen_dgmr_config *c,
                                      gen_dgmr_sample_fn *sample, void *cookie, int64_t crops,
                                      int64_t size, int64_t members, int64_t step_s)
{
    gen_status status;
    gen_dgmr_validation *v = NULL;
    *out = NULL;
    GEN_GOTO(GEN_ALLOC(&v, 1, "validation"));
    v->c = *c;
    v->crops = crops;
    v->size = size;
    v->members = members;
    v->step_s = step_s;
    v->frames = c->frames + c->steps;
    v->cells = size * size;
    GEN_GOTO(GEN_ALLOC(&v->rain, crops * v->frames * v->cells, "validation"));
    GEN_GOTO(GEN_ALLOC(&v->shown, (1 + SHOWN) * v->frames * v->cells, "validation"));
    GEN_GOTO(GEN_ALLOC(&v->drawn, members * c->steps * v->cells, "validation"));
    GEN_GOTO(take_crops(v, sample, cookie));
    GEN_GOTO(make_plan(v, params, backend));
    *out = v;
    v = NULL;
done:
    gen_dgmr_validation_free(&v);
    return status;
}

void gen_dgmr_validation_free(gen_dgmr_validation **validation)
{
    gen_dgmr_validation *v = *validation;
    *validation = NULL;
    if (!v)
        return;
    gen_plan_free(&v->plan);
    gen_free(v->rain);
    gen_free(v->shown);
    gen_free(v->drawn);
    gen_free(v);
}

/* ---- scores ---------------------------------------------------------------------------------- */

typedef struct tables {
    gen_score *members, *persistence;
} tables;

static void keep_shown(gen_dgmr_validation *v)
{
    size_t frame = (size_t)v->cells * sizeof *v->shown, context = frame * (size_t)v->c.frames;
    const float *rain = v->rain + v->wettest * v->frames * v->cells;
    memcpy(v->shown, rain, frame * (size_t)v->frames);
    for (int64_t k = 0; k < SHOWN && k < v->members; k++) {
        float *to = v->shown + (1 + k) * v->frames * v->cells;
        memcpy(to, rain, context);
        memcpy(to + v->c.frames * v->cells, v->drawn + k * v->c.steps * v->cells,
               frame * (size_t)v->c.steps);
    }
}

static gen_status draw(gen_dgmr_validation *v, int64_t crop)
{
    const float *rain = v->rain + crop * v->frames * v->cells;
    float *frames = gen_plan_input(v->plan, "frames").data, *to = v->drawn;
    gen_tensor z = gen_plan_input(v->plan, "z");
    int64_t noise = gen_shape_count(z.shape), size = v->c.steps * v->cells;
    for (int64_t i = 0; i < v->c.frames * v->cells; i++)
        frames[i] = rain[i] > 0 ? rain[i] : 0; /* NaN too */
    gen_plan_changed(v->plan);
    for (int64_t k = 0; k < v->members; k++, to += size) {
        gen_random_normal(z.data, noise, 0, gen_stream("dgmr/validate/z"),
                          (uint64_t)((crop * v->members + k) * noise));
        GEN_TRY(gen_plan_run(v->plan, NULL));
        const float *out = gen_plan_output(v->plan, 0).data; /* [1,T,H,W,1] */
        for (int64_t i = 0; i < size; i++)
            to[i] = out[i] > 0 ? out[i] : 0;
    }
    return GEN_OK;
}

static gen_status score_crop(gen_dgmr_validation *v, int64_t crop, tables *t, const float **member)
{
    const float *rain = v->rain + crop * v->frames * v->cells;
    const float *newest = rain + (v->c.frames - 1) * v->cells;
    GEN_TRY(draw(v, crop));
    if (crop == v->wettest)
        keep_shown(v);
    for (int64_t lead = 0; lead < v->c.steps; lead++) {
        const float *observed = rain + (v->c.frames + lead) * v->cells;
        for (int64_t k = 0; k < v->members; k++)
            member[k] = v->drawn + (k * v->c.steps + lead) * v->cells;
        GEN_TRY(gen_score_add(t->members, lead, observed, member));
        GEN_TRY(gen_score_add(t->persistence, lead, observed, &newest));
    }
    return GEN_OK;
}

static void put_number(gen_json_writer *w, const char *key, gen_number n)
{
    gen_json_put_real(w, key, n.known ? n.value : (double)NAN);
}

/* CRPS of each lead time. */
static gen_status put_crps(gen_json_writer *w, const char *key, const gen_score *s, int64_t leads)
{
    gen_json_open(w, key, '[');
    for (int64_t i = 0; i < leads; i++) {
        gen_score_result *r;
        GEN_TRY(gen_score_finish(&r, s, i));
        put_number(w, NULL, r->crps.standard);
        gen_score_result_free(&r);
    }
    gen_json_close(w, ']');
    return GEN_OK;
}

/* Wavelengths of half a field, a quarter ... 2 cells: the ratio of the power from there to the
 * next.
 */
static gen_status put_spectrum(gen_json_writer *w, const gen_dgmr_validation *v, const gen_score *s)
{
    gen_score_result *r;
    double ratio[16];
    int n = 0;
    GEN_TRY(gen_score_finish(&r, s, v->c.steps / 2));
    gen_json_open(w, "wavelength_px", '[');
    for (double length = (double)v->size / 2; length >= 4 && n < 16; length /= 2) {
        double made = 0, seen = 0;
        for (int64_t i = 1; i < r->frequencies; i++)
            if (r->frequency[i] * length >= 0.75 && r->frequency[i] * length < 1.5) {
                made += r->psd_members[i].value;
                seen += r->psd_observed[i].value;
            }
        ratio[n++] = seen > 0 ? made / seen : (double)NAN;
        gen_json_put_real(w, NULL, length);
    }
    gen_json_close(w, ']');
    gen_json_open(w, "psd_ratio", '[');
    for (int i = 0; i < n; i++)
        gen_json_put_real(w, NULL, ratio[i]);
    gen_json_close(w, ']');
    gen_score_result_free(&r);
    return GEN_OK;
}

static gen_status report(const gen_dgmr_validation *v, const tables *t, double *crps, char **json)
{
    gen_json_writer w = { 0 };
    gen_score_result *all;
    GEN_TRY(gen_score_finish(&all, t->members, -1));
    *crps = all->crps.standard.known ? all->crps.standard.value : (double)NAN;
    gen_json_open(&w, NULL, '{');
    gen_json_open(&w, "scores", '{');
    put_number(&w, "crps", all->crps.standard);
    put_number(&w, "spread_skill", all->spread_skill_corrected);
    put_number(&w, "bias", all->bias);
    gen_json_close(&w, '}');
    gen_score_result_free(&all);
    gen_json_open(&w, "leads_min", '[');
    for (int64_t i = 1; i <= v->c.steps; i++)
        gen_json_put_real(&w, NULL, (double)(i * v->step_s) / 60);
    gen_json_close(&w, ']');
    GEN_TRY(put_crps(&w, "crps", t->members, v->c.steps));
    gen_json_open(&w, "baselines", '{');
    GEN_TRY(put_crps(&w, "persistence", t->persistence, v->c.steps));
    gen_json_close(&w, '}');
    GEN_TRY(put_spectrum(&w, v, t->members));
    gen_json_close(&w, '}');
    return gen_json_finish(&w, json);
}

gen_status gen_dgmr_validate(gen_dgmr_validation *v, double *crps, char **json)
{
    gen_status status;
    tables t = { NULL, NULL };
    const float **member = NULL;
    gen_score_options o = { .height = v->size,
                            .width = v->size,
                            .members = v->members,
                            .leads = v->c.steps,
                            .pools = -1,
                            .parts = GEN_SCORE_CRPS | GEN_SCORE_PSD };
    *json = NULL;
    GEN_GOTO(gen_score_create(&t.members, &o));
    o.members = 1;
    o.parts = GEN_SCORE_CRPS;
    GEN_GOTO(gen_score_create(&t.persistence, &o));
    GEN_GOTO(GEN_ALLOC(&member, v->members, "validation"));
    for (int64_t i = 0; i < v->crops; i++)
        GEN_GOTO(score_crop(v, i, &t, member));
    GEN_GOTO(report(v, &t, crps, json));
done:
    gen_free(member);
    gen_score_free(&t.members);
    gen_score_free(&t.persistence);
    return status;
}

gen_status gen_dgmr_validation_write(const gen_dgmr_validation *v, const char *path)
{
    int64_t shown = v->members < SHOWN ? v->members : SHOWN;
    const gen_tensor t = { .shape = GEN_SHAPE(1 + shown, v->frames, v->size, v->size),
                           .dtype = GEN_F32,
                           .data = v->shown };
    return gen_npy_write(path, &t);
}
