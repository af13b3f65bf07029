/* SPDX-License-Identifier: Apache-2.0
 *
 * The real cuDNN takes the descriptors and operation graphs that libgen-cuda.so makes of every
 * convolution of check_ops, in f32, TF32 and bf16, fused and plain. It validates them without a
 * device; whether a device has an engine for them, only a device can say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "tests/check_ops/harness.h"

uint64_t check_seed = 1;

static gen_status (*check_conv_node)(const gen_node *n, bool tf32);

static int load(void **state)
{
    char path[4096] = "";
    (void)state;
    if (readlink("/proc/self/exe", path, sizeof path - 40) < 0 || !strrchr(path, '/'))
        return 1;
    strcpy(strrchr(path, '/'), "/../../libgen-cuda.so");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *found = library ? dlsym(library, "gen_cuda_check_conv") : NULL;
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    memcpy(&check_conv_node, &found, sizeof found);
    return 0;
}

static void take(const check_case *cases)
{
    int taken = 0;
    for (const check_case *k = cases; k->op; k++) {
        if (k->op == &gen_op_turn || k->flags & CHECK_OPTIONAL)
            continue;
        for (int form = 0; form < 3; form++, taken++) {
            check c;
            gen_node *n = check_build(k, &c, form == 2 ? GEN_BF16 : GEN_F32);
            assert_non_null(n);
            if (check_conv_node(n, form == 1) != GEN_OK)
                fail_msg("%s, %s, form %d: %s", k->op->name, k->name, form, gen_last_error());
            gen_graph_free(&c.g);
        }
    }
    assert_true(taken > 100);
}

static void forward(void **state)
{
    (void)state;
    take(check_conv);
}

static void adjoints(void **state)
{
    (void)state;
    take(check_conv_adjoints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward),
        cmocka_unit_test(adjoints),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
