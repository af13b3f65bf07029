/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions of the CUDA backend on the emulated device, beside the CPU's: which kernel runs them
 * when cuDNN offers less, that engines are taken by their notes, plans kept in memory and on disk,
 * failures. check_ops compares every case with the references.
 */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <libgen/ops.h>

#include "libgen/base/alloc.h"
#include "libgen/graph/op.h"
#include "tests/device.h"

enum { MOST_FILES = 16 };

static void (*offer)(const char *what); /* emulated_cudnn */
static long (*live_cudnn)(void);

typedef enum which { CONV, TRANSPOSE, DW, TWICE } which;

typedef struct trial {
    which op;
    int64_t n, size, cin, cout, kernel, groups;
    bool finished; /* bias, residual (CONV only), leaky relu (CONV only) */
    bool shifted;  /* the bias begins 4 bytes inside another tensor */
    bool doubled;  /* x is up-sampled by two before (CONV only) */
} trial;

/* A width that tensor cores take; one that they do not; one that they do not and that is worth
 * copies. */
static const trial whole = { CONV, 1, 6, 16, 24, 3, 1, true };
static const trial odd = { CONV, 2, 5, 3, 5, 3, 1, true };
static const trial odd_large = { CONV, 2, 64, 20, 22, 3, 1, true };
static const trial doubled = { CONV, 2, 7, 16, 24, 3, 1, true, .doubled = true };
static const trial doubled_odd = { CONV, 2, 35, 20, 21, 3, 1, true, .doubled = true };
static const trial grouped = { CONV, 1, 7, 8, 16, 3, 2, true };

typedef struct result {
    float *value;
    int64_t count;
    char text[8192]; /* of the plan */
    uint64_t slab;
} result;

static gen_node *build(gen_graph *g, const trial *t)
{
    int64_t k = t->kernel, s = t->size, kernel[3] = { k, k, 1 }, size[3] = { s, s, 1 };
    gen_conv_attr a = { .pad_lo = { k / 2, k / 2 }, .pad_hi = { k / 2, k / 2 },
                        .groups = t->groups };
    int64_t to = t->doubled ? 2 * s : s;
    gen_shape xs = GEN_SHAPE(t->n, s, s, t->cin), ys = GEN_SHAPE(t->n, to, to, t->cout);
    gen_node *x = gen_input(g, "x", GEN_F32, t->op == TRANSPOSE ? ys : xs), *b = NULL, *r = NULL;
    if (t->op == DW)
        return gen_conv_dw(g, x, gen_input(g, "y", GEN_F32, ys), kernel, &a);
    gen_node *w = gen_param(g, "w", GEN_SHAPE(t->cout, t->cin / t->groups, k, k), GEN_INIT_NORMAL);
    if (t->finished)
        b = gen_param(g, "b", GEN_SHAPE(t->op == TRANSPOSE ? t->cin : t->cout), GEN_INIT_NORMAL);
    if (t->shifted)
        b = gen_slice(g, gen_param(g, "bs", GEN_SHAPE(t->cout + 8), GEN_INIT_NORMAL), 0, 1,
                      t->cout);
    if (t->op == TRANSPOSE)
        return gen_conv_transpose(g, x, w, b, size, &a);
    if (t->op == TWICE)
        return gen_conv(g, gen_conv(g, x, w, NULL, &a),
                        gen_param(g, "v", GEN_SHAPE(t->cout, t->cin, k, k), GEN_INIT_NORMAL), NULL,
                        &a);
    if (t->doubled)
        x = gen_upsample(g, x, (const int64_t[3]){ 2, 2 });
    if (t->finished) {
        r = gen_input(g, "r", GEN_F32, ys);
        a.act = GEN_ACT_LEAKY_RELU;
        a.slope = 0.2;
    }
    return gen_conv_fused(g, x, w, b, r, &a);
}

static void draw(gen_plan *p, const char *name, uint64_t seed)
{
    gen_tensor t = gen_plan_input(p, name);
    for (int64_t i = 0; t.data && i < gen_shape_count(t.shape); i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ((float *)t.data)[i] = (float)((double)(seed >> 40) / (1 << 23) - 1);
    }
}

static gen_status run_plan(gen_plan *p, result *r)
{
    gen_tensor y;
    FILE *f = fmemopen(r->text, sizeof r->text, "w");
    draw(p, "x", 1);
    draw(p, "y", 2);
    draw(p, "r", 3);
    gen_status s = gen_plan_dump(p, 0, f);
    fclose(f);
    for (int again = 0; again < 2 && s == GEN_OK; again++) {
        s = gen_plan_run(p, NULL);
        y = gen_plan_output(p, 0);
        r->count = gen_shape_count(y.shape);
        if (s == GEN_OK && again)
            assert_memory_equal(r->value, y.data, (size_t)r->count * sizeof(float));
        else if (s == GEN_OK)
            r->value = memcpy(malloc((size_t)r->count * sizeof(float)), y.data,
                              (size_t)r->count * sizeof(float));
    }
    r->slab = gen_plan_describe(p).slab_bytes;
    return s;
}

/* On one backend; r->value is the caller's. */
static gen_status run_on(gen_backend *b, const trial *t, const gen_plan_options *o, result *r)
{
    gen_status status = GEN_OK;
    gen_graph *g = NULL;
    gen_params *params = NULL;
    gen_plan *p = NULL;
    *r = (result){ 0 };
    GEN_GOTO(gen_graph_create(&g));
    gen_node *y = build(g, t);
    GEN_GOTO(gen_graph_status(g));
    GEN_GOTO(gen_params_create(&params));
    GEN_GOTO(gen_params_init(params, g, 1));
    gen_plan_options own = o ? *o : (gen_plan_options){ 0 };
    own.rules_off = GEN_RULE_ADJOINTS; /* a conv_transpose stays one */
    GEN_GOTO(gen_plan_create(&p, g, &y, 1, params, b, &own));
    GEN_GOTO(run_plan(p, r));
done:
    gen_plan_free(&p);
    gen_params_free(&params);
    gen_graph_free(&g);
    return status;
}

static gen_status run_device(const trial *t, const gen_plan_options *o, result *r)
{
    gen_backend *b = NULL;
    *r = (result){ 0 };
    gen_status s = gen_backend_open(&b, "cuda", 1);
    if (s == GEN_OK)
        s = run_on(b, t, o, r);
    gen_backend_close(&b);
    return s;
}

/* max |d| / max |ref|, the CPU in f32. */
static double difference(const trial *t, const result *r)
{
    result want;
    gen_backend *cpu;
    double most = 0, d = 0;
    assert_int_equal(gen_backend_open(&cpu, "cpu", 1), GEN_OK);
    assert_int_equal(run_on(cpu, t, NULL, &want), GEN_OK);
    gen_backend_close(&cpu);
    assert_int_equal(want.count, r->count);
    for (int64_t i = 0; i < r->count; i++) {
        most = fmax(most, fabs((double)want.value[i]));
        d = fmax(d, fabs((double)want.value[i] - (double)r->value[i]));
        assert_false(isnan(r->value[i]));
    }
    free(want.value);
    return d / most;
}

/* Right, by the kernel of this name: bf16 within its rounding, constant weights and such that
 * vary. */
static void check(const trial *t, gen_dtype type, const char *kernel)
{
    for (int vary = 0; vary < 2; vary++) {
        result r;
        gen_plan_options o = { .precision = type, .params_vary = vary };
        if (run_device(t, &o, &r) != GEN_OK)
            fail_msg("%s", gen_last_error());
        if (!strstr(r.text, kernel))
            fail_msg("expected %s:\n%s", kernel, r.text);
        assert_true(difference(t, &r) < (type == GEN_BF16 ? 2e-2 : 1e-5));
        free(r.value);
    }
}

static trial as(const trial *t, which op)
{
    trial u = *t;
    u.op = op;
    return u;
}

/* All three ops, both types. */
static void check_all(const trial *t, const char *library)
{
    static const char *const name[] = { "conv ", "conv_transpose ", "conv_dw " };
    for (which op = CONV; op <= DW; op++) {
        trial u = as(t, op);
        char kernel[64];
        snprintf(kernel, sizeof kernel, "%s/%s", library, name[op]);
        check(&u, GEN_F32, kernel);
        check(&u, GEN_BF16, kernel);
    }
}

/* ---- what cuDNN offers ----------------------------------------------------------------------- */

/* The engine whose results change from run to run comes first: run_plan would see it. */
static void all_there(void **state)
{
    (void)state;
    check_all(&whole, "cudnn");
    check_all(&odd, "cudnn");
    check_all(&odd_large, "cudnn");
    check_all(&grouped, "cudnn");
}

/* Constant weights: one step, whoever computes the 2x2 convolution, padded channels or not. Such as
 * vary: as it is written. */
static void up_sampled(void **state)
{
    static const char *const library[][2] = { { "default", "cudnn" },
                                              { "no_engines", "cuda" },
                                              { "unaligned", "cudnn" } };
    result r;
    (void)state;
    for (int i = 0; i < GEN_LEN(library); i++) {
        offer(library[i][0]);
        for (int large = 0; large < 2; large++) {
            const trial *t = large ? &doubled_odd : &doubled;
            char kernel[64];
            snprintf(kernel, sizeof kernel, "%s/conv ", library[i][1]);
            check(t, GEN_BF16, kernel);
            if (i < 2 || !large) /* f32 is not padded, and so is not cuDNN's */
                check(t, GEN_F32, kernel);
            assert_int_equal(run_device(t, NULL, &r), GEN_OK);
            assert_null(strstr(r.text, "upsample"));
            assert_non_null(strstr(r.text, "2 launches"));
            free(r.value);
        }
    }
}

static void no_fusion(void **state)
{
    (void)state;
    offer("no_fusion");
    check_all(&whole, "cudnn");
    check_all(&odd, "cudnn");
}

static void no_engines(void **state)
{
    (void)state;
    offer("no_engines");
    check_all(&whole, "cuda");
    check_all(&odd, "cuda");
    check_all(&grouped, "cuda");
}

/* Channels are padded where the convolution is large: by then cuDNN takes it. TF32 likes fours;
 * f32 that stays f32 needs no tensor core and no copies. */
static void unaligned(void **state)
{
    gen_plan_options tf32 = { .tf32 = 1 };
    result r;
    (void)state;
    offer("unaligned");
    check_all(&whole, "cudnn");
    check_all(&odd, "cuda");
    for (which op = CONV; op <= DW; op++) {
        trial u = as(&odd_large, op);
        check(&u, GEN_BF16, "cudnn/");
        check(&u, GEN_F32, "cuda/");
        assert_int_equal(run_device(&u, &tf32, &r), GEN_OK);
        assert_non_null(strstr(r.text, "cudnn/"));
        assert_true(difference(&u, &r) < 2e-3);
        free(r.value);
    }
}

static void weight_gradients_in_bf16(void **state)
{
    trial u = as(&whole, DW);
    (void)state;
    offer("f32_dw");
    check(&u, GEN_BF16, "cudnn/conv_dw ");
}

static void fall_back(void **state)
{
    (void)state;
    offer("refused");
    check_all(&whole, "cudnn");
}

/* Only where it may be: the stand-in's engine reads 10 bits of mantissa. */
static void tf32(void **state)
{
    gen_plan_options o = { .tf32 = 1 };
    result r;
    (void)state;
    assert_int_equal(run_device(&whole, &o, &r), GEN_OK);
    double d = difference(&whole, &r);
    assert_true(d > 1e-5 && d < 2e-3);
    free(r.value);
}

/* The first engine without fault wants 1 kB and more of workspace. */
static void workspace_limit(void **state)
{
    const trial cell = { CONV, 1, 1, 4, 4, 1, 1, false };
    result large, small;
    (void)state;
    assert_int_equal(run_device(&cell, NULL, &large), GEN_OK);
    emulated.set_memory(16 << 10);
    gen_status s = run_device(&cell, NULL, &small);
    emulated.set_memory(UINT64_C(2) << 30);
    if (s != GEN_OK)
        fail_msg("%s", gen_last_error());
    assert_true(small.slab + 1024 <= large.slab);
    assert_memory_equal(large.value, small.value, (size_t)small.count * sizeof(float));
    free(large.value);
    free(small.value);
}

static long calls_with(const trial *t, const gen_plan_options *o)
{
    result r;
    long before = emulated.count("cudnn");
    assert_int_equal(run_device(t, o, &r), GEN_OK);
    assert_non_null(strstr(r.text, "cudnn/conv "));
    assert_true(difference(t, &r) < 1e-5);
    free(r.value);
    return emulated.count("cudnn") - before;
}

/* It is no reason to leave cuDNN: as many calls. */
static void bias_inside_another_tensor(void **state)
{
    gen_plan_options vary = { .params_vary = 1 };
    trial shifted = whole;
    (void)state;
    shifted.shifted = true;
    assert_int_equal(calls_with(&shifted, &vary), calls_with(&whole, &vary));
}

/* ---- plans that are kept --------------------------------------------------------------------- */

static long calls_of(const trial *t)
{
    return calls_with(t, NULL);
}

/* A second convolution that is like the first costs addresses (4 calls and 1 more for the handle
 * of the result) and executions only. */
static void equal_convolutions_share(void **state)
{
    const trial one = { CONV, 1, 6, 8, 8, 3, 1, false }, two = { TWICE, 1, 6, 8, 8, 3, 1, false };
    (void)state;
    assert_true(calls_of(&two) - calls_of(&one) < 10);
}

static char folder[] = "/tmp/gen-plan-cache-XXXXXX";

/* Paths of the files there; how many. */
static int files(char path[MOST_FILES][512])
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && n < MOST_FILES)
            snprintf(path[n++], 512, "%s/%s", folder, e->d_name);
    if (d)
        closedir(d);
    return n;
}

static void remove_files(void)
{
    char path[MOST_FILES][512];
    int n = files(path);
    for (int i = 0; i < n; i++)
        unlink(path[i]);
}

/* Restoring takes a fraction of the calls of a search. */
static void plans_on_disk(void **state)
{
    char path[MOST_FILES][512];
    (void)state;
    setenv("GEN_CACHE_DIR", folder, 1);
    long searched = calls_of(&whole);
    assert_int_equal(files(path), 1);
    long restored = calls_of(&whole);
    assert_true(restored < searched / 3);
    check(&whole, GEN_F32, "cudnn/conv ");
    offer("no_engines"); /* it is not asked */
    check(&whole, GEN_F32, "cudnn/conv ");
    offer("default");
    (void)calls_of(&odd);
    assert_int_equal(files(path), 2);
}

static void write_file(const char *path, const char *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void damaged_plans(void **state)
{
    char path[MOST_FILES][512], data[8192], other[512];
    (void)state;
    setenv("GEN_CACHE_DIR", folder, 1);
    long searched = calls_of(&whole);
    assert_int_equal(files(path), 1);
    FILE *f = fopen(path[0], "rb");
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    assert_in_range(n, 200, sizeof data - 1);
    for (size_t cut = 0; cut < n; cut += 37) {
        write_file(path[0], data, cut);
        assert_true(calls_of(&whole) >= searched);
        assert_true(calls_of(&whole) < searched / 3); /* written anew */
    }
    for (size_t at = 0; at < n; at += 29) {
        data[at] ^= 1;
        write_file(path[0], data, n);
        assert_true(calls_of(&whole) >= searched);
        data[at] ^= 1;
    }
    /* Another convolution's plan under this name. */
    snprintf(other, sizeof other, "%s", path[0]);
    remove_files();
    (void)calls_of(&odd);
    assert_int_equal(files(path), 1);
    assert_int_equal(rename(path[0], other), 0);
    assert_true(calls_of(&whole) >= searched);
    check(&whole, GEN_F32, "cudnn/conv ");
}

static void no_place_for_plans(void **state)
{
    char path[MOST_FILES][512], below[600];
    (void)state;
    setenv("GEN_CACHE_DIR", "", 1);
    setenv("HOME", folder, 1);
    setenv("XDG_CACHE_HOME", folder, 1);
    (void)calls_of(&whole);
    assert_int_equal(files(path), 0);
    snprintf(below, sizeof below, "%s/file", folder);
    write_file(below, "", 0);
    snprintf(below, sizeof below, "%s/file/more", folder); /* no folder can be made there */
    setenv("GEN_CACHE_DIR", below, 1);
    (void)calls_of(&whole);
    assert_int_equal(files(path), 1);
    unsetenv("GEN_CACHE_DIR");
    (void)calls_of(&whole);
    snprintf(below, sizeof below, "%s/libgen", folder);
    assert_int_equal(access(below, R_OK), 0);
    unsetenv("XDG_CACHE_HOME");
    (void)calls_of(&whole);
    snprintf(below, sizeof below, "%s/.cache/libgen", folder);
    assert_int_equal(access(below, R_OK), 0);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* With the nth call of a kind failing: an error, or a way round it to the right values; nothing is
 * left. False: there was no such call. */
static bool run_failing(const trial *t, const char *what, long nth)
{
    result r;
    uint64_t bytes = gen_alloc_bytes();
    long before = emulated.count(what);
    emulated.fail_at(what, nth);
    gen_status s = run_device(t, NULL, &r);
    emulated.fail_at(what, 0);
    long made = emulated.count(what) - before;
    if (s == GEN_OK)
        assert_true(difference(t, &r) < 1e-5);
    else if (s != GEN_EDEVICE && s != GEN_ENOMEM)
        fail_msg("%s %ld: status %d, %s", what, nth, s, gen_last_error());
    free(r.value);
    assert_int_equal(live_cudnn(), 0);
    assert_int_equal(emulated.live_objects(), 0);
    assert_true(gen_alloc_bytes() == bytes);
    return made >= nth;
}

static void failing_calls(void **state)
{
    const trial small = { CONV, 1, 3, 4, 4, 3, 1, true };
    (void)state;
    for (which op = CONV; op <= DW; op++) {
        trial u = as(&small, op);
        long n = 1;
        while (run_failing(&u, "cudnn", n))
            n++;
        assert_true(n > 50);
        for (n = 1; run_failing(&u, "launch", n); n++)
            ;
        for (n = 1; run_failing(&u, "alloc", n); n++)
            ;
    }
}

static void failing_allocations(void **state)
{
    const trial small = { CONV, 1, 3, 4, 4, 3, 1, true };
    (void)state;
    setenv("GEN_CACHE_DIR", folder, 1);
    for (uint64_t n = 1; n < 2000; n++) {
        result r;
        uint64_t bytes = gen_alloc_bytes();
        if (n % 2)
            remove_files();
        gen_alloc_fail_at(n);
        gen_status s = run_device(&small, NULL, &r);
        gen_alloc_fail_at(0);
        free(r.value);
        assert_int_equal(live_cudnn(), 0);
        assert_true(gen_alloc_bytes() == bytes);
        if (s == GEN_OK && n > 200)
            return;
        if (s != GEN_OK)
            assert_int_equal(s, GEN_ENOMEM);
    }
    fail_msg("more than 2000 allocations");
}

/* ---------------------------------------------------------------------------------------------- */

static int before_each(void **state)
{
    (void)state;
    offer("default");
    setenv("GEN_CACHE_DIR", "", 1);
    remove_files();
    return 0;
}

static int remove_folder(void **state)
{
    char command[512];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void *symbol(const char *name)
{
    void *found = dlsym(emulated.library, name);
    if (!found)
        abort();
    return found;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, before_each)
    const struct CMUnitTest tests[] = {
        TEST(all_there),
        TEST(up_sampled),
        TEST(no_fusion),
        TEST(no_engines),
        TEST(unaligned),
        TEST(weight_gradients_in_bf16),
        TEST(fall_back),
        TEST(tf32),
        TEST(workspace_limit),
        TEST(bias_inside_another_tensor),
        TEST(equal_convolutions_share),
        TEST(plans_on_disk),
        TEST(damaged_plans),
        TEST(no_place_for_plans),
        TEST(failing_calls),
        TEST(failing_allocations),
    };
    if (!emulated_load("../cuda")) {
        puts("cuda_conv: no emulated device: skipped");
        return 0;
    }
    void *find = symbol("emulated_cudnn");
    memcpy(&offer, &find, sizeof find);
    find = symbol("emulated_live_cudnn");
    memcpy(&live_cudnn, &find, sizeof find);
    if (!mkdtemp(folder))
        return 1;
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
