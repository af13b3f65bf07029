/* SPDX-License-Identifier: Apache-2.0
 *
 * The real cuDNN on the descriptors that the stand-in (tests/cuda/cudnn.cc) is tested with. It
 * validates descriptors and graphs without a device; engines and numbers need one. A mistake that
 * the library finds, the stand-in has to find too (tests/unit/cudnn_standin.c).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/cuda/mistakes.h"

static void right_descriptors(void **state)
{
    described d;
    (void)state;
    for (int dir = FORWARD; dir <= FILTER; dir++) {
        conv_case c = plain_case;
        c.dir = dir;
        assert_int_equal(describe(&d, &c, NULL, NULL), CUDNN_STATUS_SUCCESS);
        forget(&d);
    }
    assert_int_equal(describe(&d, &fused_case, NULL, NULL), CUDNN_STATUS_SUCCESS);
    forget(&d);
}

/* In a process of its own: some crash the library (an unknown data type does in 9.19). */
static bool is_found(const conv_case *c, const mistake *m)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        described d;
        for (int s = 1; s < 32; s++) /* cmocka's would go on with the next test, here */
            (void)signal(s, SIG_DFL);
        _exit(describe(&d, c, m, NULL) == CUDNN_STATUS_SUCCESS ? 1 : d.made_it ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 2); /* it was not come across */
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void wrong_descriptors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all_mistakes / sizeof *all_mistakes; i++)
        for (const mistake *m = all_mistakes[i].list; m->what; m++) {
            bool found = is_found(all_mistakes[i].of, m);
            if (getenv("GEN_SHOW"))
                printf("%s: %s\n", found ? "found" : "MISSED", m->what);
            if (m->real == FOUND && !found)
                fail_msg("%s: cuDNN %zu takes it", m->what, cudnnGetVersion());
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_descriptors),
        cmocka_unit_test(wrong_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
