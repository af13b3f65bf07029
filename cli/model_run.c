/* SPDX-License-Identifier: Apache-2.0
 *
 * gen model run|bench|check: a model, the network for the inputs at hand, a plan.
 */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libgen/plan.h>
#include <libgen/random.h>

#include "cli/networks.h"
#include "libgen/backends/backend.h"
#include "libgen/base/json.h"
#include "libgen/model/network.h"

#define MAX_NPY ((uint64_t)16 << 30)

/* A model that is ready to run. */
struct session {
    gen_model *model;
    gen_network network;
    gen_backend *backend;
    gen_plan *plan;
};

/* How it is run. */
struct way {
    gen_backend *on;
    gen_dtype dtype;
    bool tf32;
};

static void session_close(struct session *s)
{
    gen_plan_free(&s->plan);
    gen_backend_close(&s->backend);
    gen_network_free(&s->network);
    gen_model_free(&s->model);
}

/* Loads, builds for the given inputs, plans. Close it also after a failure. */
static gen_status session_open(struct session *s, const gen_run *r, const gen_port *given, int n)
{
    if (!s->model)
        GEN_TRY(gen_model_load(&s->model, r->operands[0]));
    gen_status status = gen_network_build(&s->network, s->model->arch, s->model->config, given, n);
    if (status != GEN_OK)
        return status == GEN_EINVAL && n ? gen_fail_in(GEN_EDATA, "inputs") : status;
    return gen_backend_open(&s->backend, r->common.device, (int)r->common.threads);
}

/* `last`: no other plan of this model will be made, so its weights are held packed only. */
static gen_status session_plan(struct session *s, const gen_run *r, const struct way *way,
                               bool last)
{
    gen_node *outputs[GEN_MAX_PORTS];
    const gen_plan_options options = { .precision = way->dtype,
                                       .tf32 = way->tf32,
                                       .memory_budget = r->common.memory_budget,
                                       .consume_params = last,
                                       .estimate_only = r->common.plan };
    for (int i = 0; i < s->network.n_out; i++)
        outputs[i] = s->network.out[i].node;
    gen_plan_free(&s->plan);
    return gen_plan_create(&s->plan, s->network.g, outputs, s->network.n_out, s->model->params,
                           way->on, &options);
}

/* As the call asks for. */
static struct way asked(const struct session *s, const gen_run *r)
{
    return (struct way){ .on = s->backend, .dtype = gen_run_dtype(r), .tf32 = gen_run_tf32(r) };
}

/* Noise from (seed, name of the input); other inputs get uniform numbers in [0, 1). */
static void fill_input(const struct session *s, int i, uint64_t seed)
{
    const gen_port *port = &s->network.in[i];
    gen_tensor t = gen_plan_input(s->plan, port->name);
    if (!t.data)
        return; /* an input that the outputs do not depend on */
    int64_t n = gen_shape_count(t.shape);
    if (port->latent)
        gen_random_normal(t.data, n, seed, gen_stream(port->name), 0);
    else
        gen_random_uniform(t.data, n, seed, gen_stream(port->name), 0);
}

static int find_port(const gen_port *port, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(port[i].name, name) == 0)
            return i;
    return -1;
}

/* "NAME=REST" apart; a NAME that is left out is `only`, when there is one. */
static gen_status split(const char *text, const char *option, const char *only, char name[64],
                        const char **rest)
{
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : 0;
    if (!equals && only) {
        snprintf(name, 64, "%s", only);
        *rest = text;
        return GEN_OK;
    }
    if (!equals || !n || n >= 64 || !equals[1])
        return gen_fail(GEN_EINVAL, "--%s '%s' is not NAME=%s", option, text,
                        strcmp(option, "shape") ? "FILE" : "1x4x256");
    memcpy(name, text, n);
    name[n] = 0;
    *rest = equals + 1;
    return GEN_OK;
}

/* ---- run ------------------------------------------------------------------------------------ */

struct arrays {
    char name[GEN_MAX_PORTS][64];
    gen_tensor value[GEN_MAX_PORTS];
    gen_port port[GEN_MAX_PORTS];
    int n;
};

static gen_status read_arrays(struct arrays *a, const gen_run *r)
{
    int n = gen_run_given(r, "input");
    const char *path;
    if (n > GEN_MAX_PORTS)
        return gen_fail(GEN_EINVAL, "%d inputs, at most %d", n, GEN_MAX_PORTS);
    for (; a->n < n; a->n++) {
        GEN_TRY(split(gen_run_text(r, "input", a->n), "input", NULL, a->name[a->n], &path));
        GEN_TRY(gen_npy_read(&a->value[a->n], path, MAX_NPY));
        a->port[a->n] = (gen_port){ .name = a->name[a->n], .shape = a->value[a->n].shape };
    }
    return GEN_OK;
}

/* Ranks first: what a network says of a wrong rank speaks of its inside. */
static gen_status check_ranks(const gen_model *m, const struct arrays *a)
{
    gen_port in[GEN_MAX_PORTS];
    int n = GEN_MAX_PORTS;
    char x[GEN_SHAPE_TEXT], y[GEN_SHAPE_TEXT];
    GEN_TRY(m->arch->inputs(m->config, in, &n));
    for (int i = 0; i < a->n; i++) {
        int k = find_port(in, n, a->name[i]);
        if (k >= 0 && in[k].shape.rank != a->port[i].shape.rank)
            return gen_fail(GEN_EDATA, "input '%s' is %s, expected %d dimensions like %s",
                            a->name[i], gen_shape_text(a->port[i].shape, x), in[k].shape.rank,
                            gen_shape_text(in[k].shape, y));
    }
    return GEN_OK;
}

static gen_status set_inputs(const struct session *s, const struct arrays *a, uint64_t seed)
{
    for (int i = 0; i < s->network.n_in; i++) {
        const gen_port *port = &s->network.in[i];
        int k = find_port(a->port, a->n, port->name);
        char text[GEN_SHAPE_TEXT];
        if (k < 0 && !port->latent)
            return gen_fail(GEN_EINVAL, "input '%s' is missing, expected %s like %s", port->name,
                            "--input NAME=FILE", gen_shape_text(port->shape, text));
        gen_tensor t = gen_plan_input(s->plan, port->name);
        if (k < 0)
            fill_input(s, i, seed);
        else if (t.data)
            gen_convert(t.data, t.dtype, a->value[k].data, a->value[k].dtype,
                        gen_shape_count(t.shape));
    }
    return GEN_OK;
}

/* Each --output: which port, and where to. Refused before anything is computed. */
static gen_status read_targets(const struct session *s, const gen_run *r, int *port,
                               const char **path)
{
    const gen_model_run_settings *settings = r->settings;
    const gen_network *n = &s->network;
    char name[64];
    for (int i = 0; i < gen_run_given(r, "output"); i++) {
        GEN_TRY(split(gen_run_text(r, "output", i), "output", n->n_out == 1 ? n->out[0].name : NULL,
                      name, &path[i]));
        port[i] = find_port(n->out, n->n_out, name);
        if (port[i] < 0)
            return gen_fail(GEN_EINVAL, "%s has no output '%s'; its first is '%s'",
                            s->model->arch->name, name, n->out[0].name);
        for (int k = 0; k < i; k++)
            if (port[k] == port[i] || !strcmp(path[k], path[i]))
                return gen_fail(GEN_EINVAL, "--output '%s': given twice",
                                gen_run_text(r, "output", i));
        if (!strcmp(path[i], "-"))
            return gen_fail(GEN_EINVAL, "--output '%s': arrays go to a file, not stdout",
                            gen_run_text(r, "output", i));
        if (!settings->force && access(path[i], F_OK) == 0)
            return gen_fail(GEN_EEXIST, "'%s' is there already (--force replaces it)", path[i]);
    }
    return GEN_OK;
}

static gen_status run_arrays(struct session *s, struct arrays *a, gen_run *r)
{
    int port[GEN_MAX_PORTS], n = gen_run_given(r, "output");
    const char *path[GEN_MAX_PORTS];
    if (n > GEN_MAX_PORTS || (!n && !r->common.plan))
        return gen_fail(GEN_EINVAL, "1 to %d times --output NAME=FILE are wanted", GEN_MAX_PORTS);
    GEN_TRY(read_arrays(a, r));
    GEN_TRY(gen_model_load(&s->model, r->operands[0]));
    GEN_TRY(check_ranks(s->model, a));
    GEN_TRY(session_open(s, r, a->port, a->n));
    GEN_TRY(read_targets(s, r, port, path));
    const struct way way = asked(s, r);
    GEN_TRY(session_plan(s, r, &way, true));
    if (r->common.plan)
        return gen_plan_dump(s->plan, 0, stdout);
    GEN_TRY(set_inputs(s, a, (uint64_t)r->common.seed));
    GEN_TRY(gen_plan_run(s->plan, &r->progress));
    for (int i = 0; i < n; i++) {
        gen_tensor t = gen_plan_output(s->plan, port[i]);
        GEN_TRY(gen_npy_write(path[i], &t));
    }
    return GEN_OK;
}

gen_status gen_model_verb_run(gen_run *r)
{
    struct session s = { 0 };
    struct arrays a = { 0 };
    gen_status status = run_arrays(&s, &a, r);
    for (int i = 0; i < GEN_MAX_PORTS; i++)
        gen_tensor_free(&a.value[i]);
    session_close(&s);
    return status;
}

/* ---- bench ---------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* "1x4x256x256x1" */
static gen_status read_shape(const char *text, gen_shape *out)
{
    char part[32];
    *out = (gen_shape){ 0 };
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, "x,");
        if (out->rank == GEN_MAX_RANK || n >= sizeof part)
            return gen_fail(GEN_EINVAL, "--shape '%s' is not a shape", text);
        memcpy(part, p, n);
        part[n] = 0;
        GEN_TRY(gen_parse_int(part, "--shape", 1, INT64_C(1) << 40, &out->dim[out->rank++]));
        p += n;
        if (!*p)
            return GEN_OK;
    }
}

static gen_status time_runs(struct session *s, gen_run *r, int runs)
{
    double best = INFINITY, sum = 0, start = seconds();
    GEN_TRY(gen_plan_run(s->plan, &r->progress));
    double first = seconds() - start;
    for (int i = 0; i < runs; i++) {
        start = seconds();
        GEN_TRY(gen_plan_run(s->plan, &r->progress));
        double t = seconds() - start;
        best = t < best ? t : best;
        sum += t;
    }
    gen_plan_info info = gen_plan_describe(s->plan);
    const gen_backend *b = s->backend;
    printf("on %s%s%s\n", b->name, b->text ? ": " : "", b->text ? b->text : "");
    printf("first run %.3f s; %d more: best %.3f s, mean %.3f s; %.1f GFLOP, %.1f GFLOP/s\n", first,
           runs, best, sum / runs, info.flops / 1e9, info.flops / 1e9 / best);
    printf("activations %.1f MB, packed weights %.1f MB", (double)info.slab_bytes / 1e6,
           (double)info.packed_bytes / 1e6);
    if (b->far) {
        uint64_t left, total;
        GEN_TRY(b->far->room(b->far->ctx, &left, &total));
        printf("; in use on the device, by all programs, %.1f of %.1f MB",
               (double)(total - left) / 1e6, (double)total / 1e6);
    }
    printf("\n");
    return GEN_OK;
}

static gen_status bench(struct session *s, gen_run *r)
{
    const gen_model_run_settings *settings = r->settings;
    gen_port port[GEN_MAX_PORTS];
    char name[GEN_MAX_PORTS][64];
    const char *text;
    int n = gen_run_given(r, "shape");
    double start = seconds();
    if (n > GEN_MAX_PORTS)
        return gen_fail(GEN_EINVAL, "%d shapes, at most %d", n, GEN_MAX_PORTS);
    for (int i = 0; i < n; i++) {
        GEN_TRY(split(gen_run_text(r, "shape", i), "shape", NULL, name[i], &text));
        port[i] = (gen_port){ .name = name[i] };
        GEN_TRY(read_shape(text, &port[i].shape));
    }
    GEN_TRY(session_open(s, r, port, n));
    double loaded = seconds();
    const struct way way = asked(s, r);
    GEN_TRY(session_plan(s, r, &way, true));
    printf("load %.3f s, plan %.3f s\n", loaded - start, seconds() - loaded);
    for (int i = 0; i < s->network.n_in; i++)
        fill_input(s, i, (uint64_t)r->common.seed);
    GEN_TRY(time_runs(s, r, (int)settings->runs));
    return gen_plan_dump(s->plan, (int)settings->runs, stdout);
}

gen_status gen_model_verb_bench(gen_run *r)
{
    struct session s = { 0 };
    gen_status status = bench(&s, r);
    session_close(&s);
    return status;
}

/* ---- check ---------------------------------------------------------------------------------- */

static int64_t count_not_finite(const gen_tensor *t)
{
    int64_t n = 0;
    for (int64_t i = 0; i < gen_shape_count(t->shape); i++)
        n += !isfinite(((const float *)t->data)[i]);
    return n;
}

static gen_status check_values(const gen_model *m, const char *path)
{
    gen_status status = GEN_OK;
    gen_text list = { 0 };
    for (int i = 0; i < gen_params_count(m->params); i++) {
        const char *name;
        gen_tensor t = gen_params_at(m->params, i, &name, NULL);
        int64_t bad = count_not_finite(&t);
        if (bad)
            GEN_GOTO(gen_text_list(&list, "'%s' (%" PRId64 ")", name, bad));
    }
    if (list.pieces)
        GEN_GOTO(gen_text_fail(&list, path, "values that are not finite in"));
done:
    gen_free(list.text);
    return status;
}

static const char *way_name(const struct way *way)
{
    return way->tf32 ? "tf32" : gen_dtype_name(way->dtype);
}

static gen_status run_in(struct session *s, gen_run *r, const struct way *way, gen_tensor *copy)
{
    GEN_TRY(session_plan(s, r, way, false));
    for (int i = 0; i < s->network.n_in; i++)
        fill_input(s, i, (uint64_t)r->common.seed);
    GEN_TRY(gen_plan_run(s->plan, &r->progress));
    for (int i = 0; i < s->network.n_out; i++) {
        gen_tensor t = gen_plan_output(s->plan, i);
        GEN_TRY(gen_tensor_create(&copy[i], GEN_F32, t.shape));
        gen_convert(copy[i].data, GEN_F32, t.data, t.dtype, gen_shape_count(t.shape));
        int64_t bad = count_not_finite(&copy[i]);
        if (bad)
            return gen_fail(GEN_ENUMERIC,
                            "output '%s' holds %" PRId64 " values that are not "
                            "finite, in %s on %s",
                            s->network.out[i].name, bad, way_name(way), way->on->name);
    }
    return GEN_OK;
}

/* The ways to compare: first f32 on the CPU, which the others should be near to. */
enum { MOST_WAYS = 4 };

static int ways(const struct session *s, struct way way[MOST_WAYS])
{
    gen_backend *b = s->backend;
    int n = 0;
    way[n++] = (struct way){ .on = b->host ? b->host : b };
    if (b->host) {
        way[n++] = (struct way){ .on = b };
        way[n++] = (struct way){ .on = b, .tf32 = true };
    }
    way[n++] = (struct way){ .on = b, .dtype = GEN_BF16 };
    return n;
}

static void print_difference(gen_json_writer *w, bool text, const struct way *way,
                             const gen_backend *reference, gen_difference d)
{
    char key[32], on[32] = "", on_reference[32] = "";
    if (way->on != reference) {
        snprintf(on, sizeof on, " on %s", way->on->name);
        snprintf(on_reference, sizeof on_reference, " on %s", reference->name);
    }
    if (text)
        printf("; %s%s differs from f32%s by %.2e (max|d|/max|f32|), %.2e (norms)", way_name(way),
               on, on_reference, d.relative, d.norm);
    snprintf(key, sizeof key, "%s_error", way_name(way));
    gen_json_put_real(w, key, d.relative);
    snprintf(key, sizeof key, "%s_error_norm", way_name(way));
    gen_json_put_real(w, key, d.norm);
}

static void print_outputs(const struct session *s, gen_json_writer *w, bool text,
                          const struct way *way, gen_tensor out[][GEN_MAX_PORTS], int n)
{
    char shape[GEN_SHAPE_TEXT];
    gen_json_put_string(w, "device", s->backend->name);
    gen_json_open(w, "outputs", '[');
    for (int i = 0; i < s->network.n_out; i++) {
        gen_json_open(w, NULL, '{');
        gen_json_put_string(w, "name", s->network.out[i].name);
        gen_json_put_string(w, "shape", gen_shape_text(out[0][i].shape, shape));
        if (text)
            printf("output '%s' %s: finite", s->network.out[i].name, shape);
        for (int k = 1; k < n; k++)
            print_difference(w, text, &way[k], way[0].on, gen_compare(&out[k][i], &out[0][i]));
        if (text)
            printf("\n");
        gen_json_close(w, '}');
    }
    gen_json_close(w, ']');
}

static gen_status run_each_way(struct session *s, gen_run *r, gen_json_writer *w)
{
    gen_status status = GEN_OK;
    struct way way[MOST_WAYS];
    gen_tensor out[MOST_WAYS][GEN_MAX_PORTS] = { 0 };
    int n = ways(s, way);
    for (int k = 0; k < n; k++)
        GEN_GOTO(run_in(s, r, &way[k], out[k]));
    print_outputs(s, w, !r->common.json, way, out, n);
done:
    for (int k = 0; k < n; k++)
        for (int i = 0; i < GEN_MAX_PORTS; i++)
            gen_tensor_free(&out[k][i]);
    return status;
}

/* The model of the session, or the file's; its results go into the object that is open. */
static gen_status check(struct session *s, gen_run *r, gen_json_writer *w)
{
    GEN_TRY(session_open(s, r, NULL, 0));
    int tensors = gen_params_count(s->model->params);
    if (!r->common.json)
        printf("%s: %d tensors with the names and shapes of the network\n", s->model->arch->name,
               tensors);
    GEN_TRY(check_values(s->model, r->operands[0]));
    if (!r->common.json)
        printf("all values are finite\n");
    gen_json_put_string(w, "network", s->model->arch->name);
    gen_json_put_int(w, "tensors", tensors);
    gen_json_put_bool(w, "finite", true);
    return run_each_way(s, r, w);
}

static gen_status check_companion(gen_run *r, const gen_arch *arch, gen_json_writer *w)
{
    struct session s = { 0 };
    gen_json_open(w, NULL, '{');
    gen_status status = gen_model_load_companion(&s.model, r->operands[0], arch->name);
    if (status == GEN_OK)
        status = check(&s, r, w);
    session_close(&s);
    gen_json_close(w, '}');
    return status;
}

gen_status gen_model_verb_check(gen_run *r)
{
    struct session s = { 0 };
    gen_json_writer w = { 0 };
    char *text = NULL;
    gen_status status;
    gen_json_open(&w, NULL, '{');
    GEN_GOTO(check(&s, r, &w));
    gen_json_open(&w, "companions", '[');
    for (int i = 0; i < s.model->n_companions; i++)
        GEN_GOTO(check_companion(r, s.model->companion[i], &w));
    gen_json_close(&w, ']');
    gen_json_close(&w, '}');
    GEN_GOTO(gen_json_finish(&w, &text));
    if (r->common.json)
        printf("%s\n", text);
done:
    gen_free(text);
    gen_free(w.text);
    session_close(&s);
    return status;
}
