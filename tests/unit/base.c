/* SPDX-License-Identifier: Apache-2.0
 *
 * Base: errors keep their sentence, allocation counts and can be made to fail, the pool runs every
 * piece exactly once at any thread count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "libgen/base/alloc.h"
#include "libgen/base/fail.h"
#include "libgen/base/pool.h"

static void error_has_sentence(void **state)
{
    (void)state;
    assert_int_equal(gen_fail(GEN_EDATA, "found %d, expected %d", 3, 4), GEN_EDATA);
    assert_string_equal(gen_last_error(), "found 3, expected 4");
    gen_fail_in(GEN_EDATA, "file '%s'", "a.nc");
    assert_string_equal(gen_last_error(), "file 'a.nc': found 3, expected 4");
    assert_string_equal(gen_status_name(GEN_EDATA), "EDATA");
}

static void allocation_is_counted_and_can_fail(void **state)
{
    (void)state;
    uint64_t before = gen_alloc_bytes();
    int *p;
    assert_int_equal(GEN_ALLOC(&p, 100, "test"), GEN_OK);
    assert_int_equal((uintptr_t)p % 64, 0);
    assert_true(gen_alloc_bytes() >= before + 400);
    gen_free(p);
    assert_int_equal(gen_alloc_bytes(), before);
    gen_alloc_fail_at(2);
    assert_int_equal(GEN_ALLOC(&p, 1, "test"), GEN_OK);
    gen_free(p);
    assert_int_equal(GEN_ALLOC(&p, 1, "test"), GEN_ENOMEM);
    assert_null(p);
    gen_alloc_fail_at(0);
    assert_int_equal(gen_alloc((void **)&p, UINT64_MAX / 2, 8, "huge"), GEN_ENOMEM);
}

struct count {
    _Atomic int hit[1000];
};

static void count_piece(void *ctx, int piece, int thread)
{
    (void)thread;
    atomic_fetch_add(&((struct count *)ctx)->hit[piece], 1);
}

static void pool_runs_every_piece_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        gen_pool *pool;
        assert_int_equal(gen_pool_create(&pool, threads), GEN_OK);
        for (int round = 0; round < 2000; round++) {
            static struct count c;
            memset(&c, 0, sizeof c);
            int n = round % 37 + (round % 100 == 0 ? 900 : 0);
            gen_pool_run(pool, n, count_piece, &c);
            for (int i = 0; i < n; i++)
                assert_int_equal(c.hit[i], 1);
        }
        gen_pool_free(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_has_sentence),
        cmocka_unit_test(allocation_is_counted_and_can_fail),
        cmocka_unit_test(pool_runs_every_piece_once),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
