/* SPDX-License-Identifier: Apache-2.0
 *
 * Foreign model files: every layout that PyTorch has had gives the values that were written (files
 * and values by tests/golden/model_files.py; effective weights computed by PyTorch), DGMR's names
 * are those of the package dgmr 1.4.4, and files that lie or attack end in one sentence.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "libgen/model/tensor_file.h"
#include "tests/toy.h"
#include "weather/dgmr.h"

#define FOLDER "tests/golden/model_files/"
#define W ".parametrizations.weight.original"
#define U ".parametrizations.weight.0._u"
#define V ".parametrizations.weight.0._v"

static gen_model *import(const char *file, const gen_arch *arch, char **report)
{
    gen_model *m = NULL;
    gen_status status = gen_model_import(&m, file, arch, report);
    if (status != GEN_OK)
        print_message("%s: %s\n", file, gen_last_error());
    assert_int_equal(status, GEN_OK);
    assert_non_null(m);
    return m;
}

static const float *values(const gen_model *m, const char *name)
{
    gen_tensor t = gen_params_get(m->params, name);
    assert_non_null(t.data);
    return t.data;
}

static void check_rule(const gen_model *m, const char *ours, const char *theirs)
{
    gen_tensor t = gen_params_get(m->params, ours);
    assert_non_null(t.data);
    for (int64_t i = 0; i < gen_shape_count(t.shape); i++)
        assert_true(((float *)t.data)[i] == toy_value(theirs, (uint64_t)i));
}

/* body/w [6,4,3,3] comes with its input channels in our order. */
static void check_body(const gen_model *m)
{
    const float *w = values(m, "body/w");
    for (int r = 0; r < 6; r++)
        for (int c = 0; c < 4; c++)
            for (int k = 0; k < 9; k++)
                assert_true(w[(r * 4 + c) * 9 + k] ==
                            toy_value("body" W, (uint64_t)((r * 4 + toy_order[c]) * 9 + k)));
}

static void check_common(const gen_model *m)
{
    check_body(m);
    check_rule(m, "body/b", "body.bias");
    check_rule(m, "norm/gamma", "norm.weight");
    check_rule(m, "norm/beta", "norm.bias");
    check_rule(m, "norm/mean", "norm.running_mean");
    check_rule(m, "norm/var", "norm.running_var");
    check_rule(m, "mix/b", "mix.bias");
    check_rule(m, "out/w", "out.weight");
    check_rule(m, "gain", "gain");
}

/* With u and v in the file. */
static void check_normed(const char *file)
{
    gen_model *m = import(file, NULL, NULL);
    assert_ptr_equal(m->arch, &toy_arch);
    check_common(m);
    check_rule(m, "body/u", "body" U);
    check_rule(m, "mix/w", "mix" W);
    check_rule(m, "mix/u", "mix" U);
    check_rule(m, "mix/v", "mix" V);
    const float *v = values(m, "body/v");
    for (int c = 0; c < 4; c++)
        for (int k = 0; k < 9; k++)
            assert_true(v[c * 9 + k] == toy_value("body" V, (uint64_t)(toy_order[c] * 9 + k)));
    gen_model_free(&m);
}

static void parametrized_safetensors(void **state)
{
    (void)state;
    check_normed(FOLDER "new.safetensors");
}

static void hooks_in_a_stream_with_a_wrapper(void **state)
{
    (void)state;
    check_normed(FOLDER "hook_stream.pth");
    check_normed(FOLDER "parameters_stream.pth");
}

static void doubles_behind_strides_and_offsets(void **state)
{
    (void)state;
    check_normed(FOLDER "views.pth");
}

static double sigma(const gen_model *m, const char *layer, int64_t rows, int64_t row)
{
    char name[3][64];
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%s/%c", layer, "wuv"[i]);
    const float *w = values(m, name[0]), *u = values(m, name[1]), *v = values(m, name[2]);
    double sum = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < row; i++)
            sum += (double)u[r] * w[r * row + i] * v[i];
    return sum;
}

static void folded_weights_get_vectors(void **state)
{
    (void)state;
    static const char *const files[] = { FOLDER "folded_f16.safetensors",
                                         FOLDER "folded_bf16.pth" };
    for (int i = 0; i < 2; i++) {
        gen_model *m = import(files[i], NULL, NULL);
        check_common(m);
        check_rule(m, "mix/w", "mix" W);
        assert_float_equal(sigma(m, "body", 6, 36), 1, 1e-6);
        assert_float_equal(sigma(m, "mix", 5, 6), 1, 1e-6);
        gen_model_free(&m);
    }
}

/* Our `mix` has no spectral norm here: the importer divides as PyTorch does. */
static void norm_is_folded_for_plain_layers(void **state)
{
    (void)state;
    gen_tensor_file *expected;
    float want[30];
    assert_int_equal(gen_tensor_file_open(&expected, FOLDER "expected.safetensors"), GEN_OK);
    assert_int_equal(gen_tensor_file_read(expected, gen_tensor_file_find(expected, "mix"), want),
                     0);
    gen_tensor_file_close(&expected);
    gen_model *m = import(FOLDER "new.safetensors", &toy_folding_arch, NULL);
    const float *w = values(m, "mix/w");
    for (int i = 0; i < 30; i++)
        assert_float_equal(w[i], want[i], 1e-6 * (1 + fabs(want[i])));
    assert_null(gen_params_get(m->params, "mix/u").data);
    gen_model_free(&m);
}

static void copies_unknown_and_ignored_are_told_apart(void **state)
{
    (void)state;
    char *report;
    gen_model *m = import(FOLDER "whole.bin", NULL, &report);
    check_common(m);
    assert_non_null(strstr(report, "ignored 1 tensor 'discriminator.*': not part"));
    assert_non_null(strstr(report, "unknown 1 tensor, not used:\n    left.over [2,2]"));
    assert_null(strstr(report, "num_batches"));
    gen_text_free(report);
    gen_model_free(&m);
    m = import(FOLDER "hook_stream.pth", NULL, &report);
    assert_non_null(strstr(report, "state dict under 'state_dict'"));
    gen_text_free(report);
    gen_model_free(&m);
}

static void refused(const char *path, gen_status expected, const char *words)
{
    gen_model *m = (gen_model *)1;
    char *report = (char *)1;
    uint64_t before = gen_alloc_bytes();
    gen_status status = gen_model_import(&m, path, NULL, &report);
    if (status != expected || !strstr(gen_last_error(), words))
        print_message("%s: %s\n", gen_status_name(status), gen_last_error());
    assert_int_equal(status, expected);
    assert_non_null(strstr(gen_last_error(), words));
    assert_null(m);
    assert_null(report);
    assert_true(gen_alloc_bytes() == before);
}

static void copies_that_differ_are_refused(void **state)
{
    (void)state;
    refused(FOLDER "differs.pth", GEN_EMODEL, "'gain' and 'generator.gain' differ");
}

static void programs_are_refused_by_name(void **state)
{
    (void)state;
    refused(FOLDER "bomb.pth", GEN_EMODEL, "system', which is not part of a state dict");
    refused(FOLDER "bomb_stream.pth", GEN_EMODEL, "system', which is not part of a state dict");
    assert_int_not_equal(access("executed-by-a-model-file", F_OK), 0);
}

static void archives_that_lie(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { FOLDER "small.pth", "no known network has its 2 tensors ('a', ...)" },
        { FOLDER "deflated.pth", "is compressed or encrypted" },
        { FOLDER "short.pth", "'data/0' has 23 bytes, expected 6 elements of 4" },
        { FOLDER "big_endian.pth", "big-endian" },
        { FOLDER "claims.pth", "zip" },
        { FOLDER "endless.pth", "nested deeper" },
        { FOLDER "offset.pth", "shape [2,3] reaches beyond its storage of 6" },
        { FOLDER "stride.pth", "shape [2,3] reaches beyond its storage of 6" },
        { FOLDER "expanded.pth", "shape [1000,1000] is larger than its storage of 1" },
        { FOLDER "lost.pth", "the archive lacks 'data/7'" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++)
        refused(cases[i][0], GEN_EMODEL, cases[i][1]);
    gen_tensor_file *f;
    float values[6];
    assert_int_equal(gen_tensor_file_open(&f, FOLDER "checksum.pth"), GEN_OK);
    assert_int_equal(gen_tensor_file_read(f, gen_tensor_file_find(f, "a"), values), GEN_EMODEL);
    assert_non_null(strstr(gen_last_error(), "checksum"));
    gen_tensor_file_close(&f);
}

static void other_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t n;
        const char *words;
    } cases[] = {
        { "", 0, "empty" },
        { "\211HDF\r\n\032\n........", 16, "HDF5" },
        { "GGUF............", 16, "GGUF" },
        { "<!DOCTYPE html><html>", 21, "HTML" },
        { "version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS" },
        { "{\"a\": 1}", 8, "JSON" },
        { "PK\3\4", 4, "zip archive" },
        { "\200\2}q\0.", 6, "not of torch.save" },
        { "random bytes, of no format", 26, "neither" },
    };
    for (int i = 0; i < GEN_LEN(cases); i++) {
        const char *path = toy_path("other");
        toy_write(path, cases[i].data, cases[i].n);
        refused(path, GEN_EMODEL, cases[i].words);
    }
    refused("/does/not/exist", GEN_EDATA, "No such file");
    refused("/tmp", GEN_EDATA, "not a file");
}

static const char *const layouts[] = {
    FOLDER "new.safetensors", FOLDER "whole.bin", FOLDER "hook_stream.pth",
    FOLDER "folded_bf16.pth", FOLDER "views.pth", FOLDER "bomb.pth",
};

/* Cut anywhere, a file is an error with a sentence, and nothing is kept. */
static void truncation_is_an_error(void **state)
{
    (void)state;
    for (int i = 0; i < GEN_LEN(layouts); i++) {
        size_t n;
        char *data = toy_read(layouts[i], &n);
        for (size_t cut = 0; cut < n; cut += 1 + cut / 500) {
            const char *path = toy_path("cut");
            toy_write(path, data, cut);
            gen_model *m;
            uint64_t before = gen_alloc_bytes();
            assert_int_equal(gen_model_import(&m, path, NULL, NULL), GEN_EMODEL);
            assert_true(strlen(gen_last_error()) > 10);
            assert_true(gen_alloc_bytes() == before);
        }
        free(data);
    }
}

/* Bytes changed at random: refused or read, within memory in proportion to the file. */
static void changed_bytes_do_no_harm(void **state)
{
    (void)state;
    uint32_t x = 12345;
    for (int round = 0; round < 6000; round++) {
        size_t n;
        char *data = toy_read(layouts[round % GEN_LEN(layouts)], &n);
        for (int k = round % 5; k >= 0; k--) {
            x = x * 1664525u + 1013904223u;
            data[(x >> 8) % n] = (char)(x >> 3);
        }
        const char *path = toy_path("changed");
        toy_write(path, data, n);
        free(data);
        gen_model *m;
        gen_status status = gen_model_import(&m, path, NULL, NULL);
        assert_true(status == GEN_OK || status == GEN_EMODEL);
        gen_model_free(&m);
    }
    assert_true(gen_alloc_peak() < 64u << 20);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        gen_status status = GEN_ENOMEM;
        for (uint64_t n = 1; status != GEN_OK; n++) {
            gen_model *m;
            uint64_t before = gen_alloc_bytes();
            gen_alloc_fail_at(n);
            status = gen_model_import(&m, layouts[i], NULL, NULL);
            gen_alloc_fail_at(0);
            gen_model_free(&m);
            /* the graph's builders report a lack of memory as EINVAL */
            assert_true(status == GEN_OK || status == GEN_ENOMEM ||
                        strstr(gen_last_error(), "out of memory"));
            assert_true(gen_alloc_bytes() == before);
            assert_true(n < 5000);
        }
    }
}

/* ---- DGMR ----------------------------------------------------------------------------------- */

/* A safetensors file with the names and shapes of the package, values by the rule. */
static void write_dgmr(const char *path, const char *list)
{
    char line[256], name[200];
    size_t used = 0, capacity = 1 << 20;
    char *header = malloc(capacity);
    uint64_t at = 0;
    FILE *names = fopen(list, "r"), *out = fopen(path, "wb");
    assert_non_null(names);
    assert_non_null(out);
    used += (size_t)sprintf(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    while (fgets(line, sizeof line, names)) {
        long d[5] = { 1, 1, 1, 1, 1 };
        int rank =
            sscanf(line, "%199s %ld %ld %ld %ld %ld", name, d, d + 1, d + 2, d + 3, d + 4) - 1;
        bool counter = strstr(name, "num_batches_tracked") != NULL;
        uint64_t bytes = counter ? 8 : (uint64_t)(d[0] * d[1] * d[2] * d[3] * d[4]) * 4;
        used += (size_t)sprintf(header + used, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", name,
                                counter ? "I64" : "F32");
        for (int i = 0; i < rank; i++)
            used += (size_t)sprintf(header + used, "%s%ld", i ? "," : "", d[i]);
        used += (size_t)sprintf(header + used, "],\"data_offsets\":[%llu,%llu]}",
                                (unsigned long long)at, (unsigned long long)(at + bytes));
        at += bytes;
        assert_true(used < capacity - 1000);
    }
    header[used++] = '}';
    uint64_t length = used;
    fwrite(&length, 8, 1, out);
    fwrite(header, 1, used, out);
    rewind(names);
    while (fgets(line, sizeof line, names)) {
        long d[5] = { 1, 1, 1, 1, 1 };
        (void)sscanf(line, "%199s %ld %ld %ld %ld %ld", name, d, d + 1, d + 2, d + 3, d + 4);
        long n = d[0] * d[1] * d[2] * d[3] * d[4] * (strstr(name, "num_batches") ? 2 : 1);
        float *v = malloc((size_t)n * 4);
        for (long i = 0; i < n; i++)
            v[i] = toy_value(name, (uint64_t)i);
        fwrite(v, 4, (size_t)n, out);
        free(v);
    }
    assert_int_equal(fclose(out), 0);
    fclose(names);
    free(header);
}

static void dgmr_of_openclimatefix(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "conditioning/level1/block/conv1/w", "conditioning_stack.d1.first_conv_3x3" W },
        { "conditioning/level4/mix/w", "conditioning_stack.conv4" W },
        { "conditioning/level4/mix/v", "conditioning_stack.conv4" V },
        { "latent/conv/u", "latent_stack.conv_3x3" U },
        { "latent/block3/skip/w", "latent_stack.l_block3.conv_1x1.weight" },
        { "latent/attention/query/w", "latent_stack.att_block.query.weight" },
        { "latent/attention/gamma", "latent_stack.att_block.gamma" },
        { "sampler/level4/gru/read/w", "sampler.convGRU1.cell.read_gate_conv" W },
        { "sampler/level1/gru/output/b", "sampler.convGRU4.cell.output_conv.bias" },
        { "sampler/level4/conv/w", "sampler.gru_conv_1x1" W },
        { "sampler/level3/conv/w", "sampler.gru_conv_1x1_2" W },
        { "sampler/level2/up/norm1/var", "sampler.up_g3.bn1.running_var" },
        { "sampler/level1/up/skip/w", "sampler.up_g4.conv_1x1" W },
        { "sampler/norm/beta", "sampler.bn.bias" },
        { "sampler/out/w", "sampler.conv_1x1" W },
    };
    const char *path = toy_path("dgmr.safetensors"), *config = toy_path("config.json");
    char *report;
    write_dgmr(path, FOLDER "dgmr_288_144.txt");
    const char json[] = "{\"forecast_steps\": 3, \"latent_channels\": 288, \"visualize\": false}";
    toy_write(config, json, sizeof json - 1);
    gen_model *m = import(path, NULL, &report);
    assert_ptr_equal(m->arch, &gen_dgmr_ocf_arch);
    const gen_dgmr_config *c = m->config;
    assert_int_equal(c->steps, 3);
    assert_int_equal(c->latent_channels, 288);
    assert_int_equal(c->context_channels, 144);
    for (int i = 0; i < GEN_LEN(pairs); i++)
        check_rule(m, pairs[i][0], pairs[i][1]);
    assert_non_null(strstr(report, "ignored 162 tensors 'discriminator.*'"));
    assert_non_null(strstr(report, "visualize"));
    assert_null(strstr(report, "unknown"));
    gen_text_free(report);
    const char *ours = toy_path("ours.safetensors");
    assert_int_equal(gen_model_save(m, ours, GEN_F32, NULL, false), GEN_OK);
    gen_model *again;
    assert_int_equal(gen_model_load(&again, ours), GEN_OK);
    assert_int_equal(gen_params_count(again->params), gen_params_count(m->params));
    for (int i = 0; i < GEN_LEN(pairs); i++)
        check_rule(again, pairs[i][0], pairs[i][1]);
    gen_model_free(&again);
    gen_model_free(&m);
    remove(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parametrized_safetensors),
        cmocka_unit_test(hooks_in_a_stream_with_a_wrapper),
        cmocka_unit_test(doubles_behind_strides_and_offsets),
        cmocka_unit_test(folded_weights_get_vectors),
        cmocka_unit_test(norm_is_folded_for_plain_layers),
        cmocka_unit_test(copies_unknown_and_ignored_are_told_apart),
        cmocka_unit_test(copies_that_differ_are_refused),
        cmocka_unit_test(programs_are_refused_by_name),
        cmocka_unit_test(archives_that_lie),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(truncation_is_an_error),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(dgmr_of_openclimatefix),
    };
    (void)gen_arch_register(&toy_arch);
    (void)gen_arch_register(&gen_dgmr_arch);
    (void)gen_arch_register(&gen_dgmr_ocf_arch);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    toy_remove_all();
    return failed;
}
