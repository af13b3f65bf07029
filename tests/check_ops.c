/* SPDX-License-Identifier: Apache-2.0
 *
 * check_ops: every op, every kernel, every gradient, from one table of cases per family.
 *
 *     check_ops [PATTERN]        tests of the ops whose name contains PATTERN (all without)
 *     check_ops =NAME            tests of one op
 *     check_ops --list           ops, their cases, the backends' kernels
 *     check_ops --grad [P]       gradients only;  --kernels [P]  kernels only
 *     check_ops --support [P]    which kernel takes how many cases of which op and type
 *     check_ops --bench [P]      time and GFLOP/s (or GB/s) of every kernel on the large cases
 *     --seed N                   other numbers (default 1);  --threads N for --bench (default 1)
 *     --device cuda              kernels of a device, not of the CPU (only --kernels, --bench,
 *                                --list, --support)
 *
 * A gradient is compared with central differences of the reference, all in double. A kernel is run
 * by itself, without a plan, on guarded buffers, and compared with the reference (tests/check_ops/
 * kernels.c). The references themselves are compared with PyTorch's in tests/golden.
 *
 * To add an op: 1. write it (libgen/ops/README.md); 2. in the case file of its family, write a
 * builder that makes its inputs by check_in...() in the op's order and returns the node; 3. add a
 * row {op, name, builder, arg, flags} for each interesting shape: size 1, odd sizes, each
 * attribute off its default, and one large row with CHECK_BENCH. A new family: a new file, its
 * table's name in check_ops.h and below, its line in the Makefile (CHECK_OPS). An op without cases
 * fails the test.
 */
#include "tests/check_ops/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const check_case *const families[] = {
    check_conv,  check_conv_adjoints, check_elementwise, check_matmul,
    check_norm,  check_reduce,        check_resample,    check_shape,
};

uint64_t check_seed = 1;

static const check_case *next_case(const gen_op *op, const check_case *c)
{
    int family = 0;
    if (c)
        while (true) {
            const check_case *end = families[family];
            while (end->op)
                end++;
            if (c >= families[family] && c < end)
                break;
            family++;
        }
    for (; family < GEN_LEN(families); family++, c = NULL)
        for (c = c ? c + 1 : families[family]; c->op; c++)
            if (c->op == op)
                return c;
    return NULL;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void every_op_has_cases(void **state)
{
    int n, missing = 0;
    const gen_op *const *ops = gen_ops(&n);
    (void)state;
    for (int i = 0; i < n; i++)
        if (!next_case(ops[i], NULL)) {
            print_error("op '%s' has no case in tests/check_ops\n", ops[i]->name);
            missing++;
        }
    assert_int_equal(missing, 0);
}

static void gradients(void **state)
{
    const gen_op *op = *state;
    int failed = 0;
    for (const check_case *c = next_case(op, NULL); c; c = next_case(op, c))
        if (!(c->flags & CHECK_BENCH))
            failed += check_gradient(c);
    assert_int_equal(failed, 0);
}

static void kernels(void **state)
{
    const gen_op *op = *state;
    int failed = 0;
    for (const check_case *c = next_case(op, NULL); c; c = next_case(op, c))
        if (!(c->flags & CHECK_BENCH))
            failed += check_kernels(c);
    assert_int_equal(failed, 0);
}

static bool matches(const gen_op *op, const char *pattern)
{
    return *pattern == '=' ? strcmp(op->name, pattern + 1) == 0 : strstr(op->name, pattern) != NULL;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void for_cases(const char *pattern, void (*fn)(const check_case *))
{
    int n;
    const gen_op *const *ops = gen_ops(&n);
    for (int i = 0; i < n; i++)
        if (matches(ops[i], pattern))
            for (const check_case *c = next_case(ops[i], NULL); c; c = next_case(ops[i], c))
                fn(c);
}

static void list_case(const check_case *c)
{
    printf("%-16s %s%s\n", c->op->name, c->name, c->flags & CHECK_BENCH ? " (bench)" : "");
}

/* "name: what" for the runner; lives as long as the program. */
static const char *test_name(const char *name, const char *what)
{
    size_t size = strlen(name) + strlen(what) + 3;
    char *text = malloc(size);
    if (!text)
        abort();
    snprintf(text, size, "%s: %s", name, what);
    return text;
}

static int check_all(const char *pattern, bool grad, bool kernel)
{
    int n, count = 0;
    const gen_op *const *ops = gen_ops(&n);
    struct CMUnitTest *tests = calloc((size_t)(2 * n + 1), sizeof *tests);
    if (!tests)
        abort();
    if (!*pattern)
        tests[count++] = (struct CMUnitTest)cmocka_unit_test(every_op_has_cases);
    for (int i = 0; i < n; i++) {
        if (!matches(ops[i], pattern) || !next_case(ops[i], NULL))
            continue;
        if (grad)
            tests[count++] = (struct CMUnitTest){ test_name(ops[i]->name, "gradient"), gradients,
                                                  NULL, NULL, (void *)(uintptr_t)ops[i] };
        if (kernel)
            tests[count++] = (struct CMUnitTest){ test_name(ops[i]->name, "kernels"), kernels, NULL,
                                                  NULL, (void *)(uintptr_t)ops[i] };
    }
    int failed = _cmocka_run_group_tests("check_ops", tests, (size_t)count, NULL, NULL);
    for (int i = 0; i < count; i++)
        if (strchr(tests[i].name, ':'))
            free((void *)(uintptr_t)tests[i].name);
    free(tests);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *pattern = "", *mode = "", *device = NULL;
    int status = 0, threads = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            check_seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--device") == 0 && i + 1 < argc)
            device = argv[++i];
        else if (argv[i][0] == '-')
            mode = argv[i];
        else
            pattern = argv[i];
    }
    check_kernels_open(device, strcmp(mode, "--bench") == 0 ? threads : 0);
    if (strcmp(mode, "--list") == 0) {
        for_cases(pattern, list_case);
        check_kernels_list();
    } else if (strcmp(mode, "--support") == 0) {
        for_cases(pattern, check_support);
        check_support_print();
    } else if (strcmp(mode, "--bench") == 0) {
        for_cases(pattern, check_bench);
    } else if (*mode && strcmp(mode, "--grad") && strcmp(mode, "--kernels")) {
        fprintf(stderr, "check_ops: unknown option '%s'; see the top of tests/check_ops.c\n", mode);
        status = 2;
    } else {
        status = check_all(pattern, !device && strcmp(mode, "--kernels") != 0,
                           strcmp(mode, "--grad") != 0);
    }
    check_kernels_close();
    return status;
}
