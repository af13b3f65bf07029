/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated CUDA device of tests/cuda: kernels give the values that they should, and what the
 * emulator is there to find it finds. Without CUDA's headers there is nothing to test.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#ifdef GEN_WITH_CUDA

#include "tests/cuda/emulated.h"
#include "tests/cuda/selftest.h"

#define OK(call) assert_int_equal((int)(call), (int)cudaSuccess)
#define FAILS(call, code) assert_int_equal((int)(call), (int)(code))

static cudaStream_t stream;
static uint64_t bytes_before;
static long objects_before;

static int setup(void **state)
{
    (void)state;
    bytes_before = emulated_live_bytes();
    objects_before = emulated_live_objects();
    return cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess;
}

/* Each test gives back what it took, also one in which the device faults. */
static int teardown(void **state)
{
    (void)state;
    (void)cudaStreamDestroy(stream);
    emulated_revive();
    if (emulated_live_bytes() == bytes_before && emulated_live_objects() == objects_before)
        return 0;
    fprintf(stderr, "left: %ld objects\n", emulated_live_objects() - objects_before);
    return 1;
}

static void *far(size_t bytes)
{
    void *p;
    OK(cudaMalloc(&p, bytes));
    return p;
}

static void *upload(const void *from, size_t bytes)
{
    void *p = far(bytes);
    OK(cudaMemcpy(p, from, bytes, cudaMemcpyHostToDevice));
    return p;
}

static void download(void *to, const void *from, size_t bytes)
{
    OK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream));
    OK(cudaStreamSynchronize(stream));
}

static float *ramp(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 251) - 100;
    return x;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void block_sums(void **state)
{
    enum { N = 10000, BLOCKS = (N + 255) / 256 };
    float *x = ramp(N), y[BLOCKS];
    selftest_args a = { upload(x, N * sizeof *x), far(sizeof y), N, 0, 0 };
    (void)state;
    OK(selftest_sum(&a, stream));
    download(y, a.y, sizeof y);
    for (int b = 0; b < BLOCKS; b++) {
        double sum = 0;
        for (int i = 256 * b; i < N && i < 256 * (b + 1); i++)
            sum += x[i];
        assert_true(y[b] == (float)sum); /* whole numbers below 2^24 */
    }
    OK(cudaFree((void *)(uintptr_t)a.x));
    OK(cudaFree(a.y));
    free(x);
}

static int wrong_places(cudaError_t (*launch)(const selftest_args *, cudaStream_t))
{
    enum { R = 70, C = 133 };
    float *x = ramp(R * C), *y = ramp(R * C);
    selftest_args a = { upload(x, R * C * sizeof *x), far(R * C * sizeof *x), 0, R, C };
    int wrong = 0;
    OK(launch(&a, stream));
    download(y, a.y, R * C * sizeof *y);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++)
            wrong += y[c * R + r] != x[r * C + c];
    OK(cudaFree((void *)(uintptr_t)a.x));
    OK(cudaFree(a.y));
    free(x);
    free(y);
    return wrong;
}

static void transpose(void **state)
{
    (void)state;
    assert_int_equal(wrong_places(selftest_transpose), 0);
    assert_true(wrong_places(selftest_transpose_racing) > 0); /* the missing barrier shows */
}

static void bf16(void **state)
{
    /* 1, -2.5, 3.140625, 2^-126 and their 2 x + 1, rounded to the nearest even of 8 bits. */
    const uint16_t x[] = { 0x3f80, 0xc020, 0x4049, 0x0080 };
    const uint16_t expected[] = { 0x4040, 0xc080, 0x40e9, 0x3f80 };
    uint16_t y[4];
    selftest_args a = { upload(x, sizeof x), far(sizeof y), 4, 0, 0 };
    (void)state;
    OK(selftest_bf16(&a, stream));
    download(y, a.y, sizeof y);
    assert_memory_equal(y, expected, sizeof y);
    OK(cudaFree((void *)(uintptr_t)a.x));
    OK(cudaFree(a.y));
}

static void votes_and_counts(void **state)
{
    int y[32][5], n = 0;
    selftest_args a = { NULL, far(sizeof y), 0, 0, 0 };
    (void)state;
    OK(selftest_votes(&a, stream));
    download(y, a.y, sizeof y);
    for (int i = 0; i < 32; i++) {
        assert_int_equal((unsigned)y[i][0], 0xaaaaaaaau);
        assert_int_equal(y[i][1], 1);
        assert_int_equal(y[i][2], 0);
        assert_int_equal(y[i][3], i ? 10 * (i - 1) : 0);
        assert_int_equal(y[i][4], 3);
    }
    a.n = 1000;
    OK(cudaMemsetAsync(a.y, 0, sizeof n, stream));
    OK(selftest_count(&a, stream));
    download(&n, a.y, sizeof n);
    assert_int_equal(n, 1000);
    OK(cudaFree(a.y));
}

/* Threads that never meet are cheap. */
static void many_threads(void **state)
{
    const int64_t n = (int64_t)96 * 256 * 256;
    float *x = ramp(n), *y = malloc((size_t)n * sizeof *y);
    struct timespec t0, t1;
    selftest_args a = { upload(x, (size_t)n * sizeof *x), far((size_t)n * sizeof *x), n, 0, 0 };
    (void)state;
    OK(selftest_affine(&a, stream));
    clock_gettime(CLOCK_MONOTONIC, &t0);
    download(y, a.y, (size_t)n * sizeof *y);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    printf("6.3 M threads: %.2f s\n",
           (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec));
    for (int64_t i = 0; i < n; i++)
        assert_true(y[i] == 2 * x[i] + 1);
    OK(cudaFree((void *)(uintptr_t)a.x));
    OK(cudaFree(a.y));
    free(x);
    free(y);
}

/* ---- faults of kernels ----------------------------------------------------------------------- */

static void faults(cudaError_t (*launch)(const selftest_args *, cudaStream_t), const void *x,
                   void *y, int rows, cudaError_t expected)
{
    selftest_args a = { x, y, 4, rows, 0 };
    void *p;
    OK(launch(&a, stream)); /* told at the next synchronisation */
    FAILS(cudaStreamSynchronize(stream), expected);
    FAILS(cudaMalloc(&p, 4), expected); /* and by every call from then on */
    FAILS(cudaGetLastError(), expected);
    emulated_revive();
}

static void threads_that_do_not_meet(void **state)
{
    float y[64];
    selftest_args a;
    void *p = far(1024);
    (void)state;
    faults(selftest_diverging, NULL, p, 0, cudaErrorLaunchFailure);
    faults(selftest_lanes, NULL, p, 0, cudaErrorLaunchFailure);
    a = (selftest_args){ NULL, p, 0, 0, 0 };
    OK(selftest_votes(&a, stream)); /* the next kernel is not disturbed */
    download(y, p, sizeof y);
    OK(cudaFree(p));
}

static void unwritten_shared_memory(void **state)
{
    float y[4][64];
    selftest_args a = { NULL, far(sizeof y), 0, 0, 0 };
    (void)state;
    OK(selftest_unwritten(&a, stream));
    download(y, a.y, sizeof y);
    for (int b = 0; b < 4; b++)
        for (int i = 0; i < 64; i++)
            assert_true(i < 32 ? y[b][i] == 1 : isnan(y[b][i]));
    OK(cudaFree(a.y));
}

/* AddressSanitizer ends the program at the write itself. */
static void writing_beside_an_allocation(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();
#else
    float x[4] = { 0 };
    void *far_x = upload(x, sizeof x), *y = far(sizeof x);
    faults(selftest_affine, far_x, y, 1, cudaErrorIllegalAddress);
    FAILS(cudaFree(y), cudaErrorIllegalAddress);
    emulated_revive();
    OK(cudaFree(far_x));
#endif
}

static void launches_that_are_refused(void **state)
{
    selftest_args a = { far(16), far(16), 4, 48, 0 };
    (void)state;
    FAILS(selftest_block(&a, stream), cudaErrorInvalidConfiguration); /* 48 threads */
    a.rows = 2048;
    FAILS(selftest_block(&a, stream), cudaErrorInvalidConfiguration);
    a.rows = 288;
    FAILS(selftest_block(&a, stream), cudaErrorLaunchOutOfResources);
    a.n = a.rows = 0;
    FAILS(selftest_affine(&a, stream), cudaErrorInvalidConfiguration); /* no block at all */
    OK(cudaFree(a.y));
    a.n = 4;
    FAILS(selftest_affine(&a, stream), cudaErrorInvalidValue); /* y is freed */
    OK(cudaFree((void *)(uintptr_t)a.x));
    FAILS(cudaGetLastError(), cudaErrorInvalidValue);
    OK(cudaGetLastError());
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void nothing_happens_before_a_wait(void **state)
{
    float x[4] = { 1, 2, 3, 4 }, *host;
    void *p = far(sizeof x);
    (void)state;
    OK(cudaMallocHost((void **)&host, sizeof x));
    memcpy(host, x, sizeof x);
    OK(cudaMemcpyAsync(p, host, sizeof x, cudaMemcpyHostToDevice, stream));
    host[0] = 9; /* too early: the device sees it */
    assert_int_equal(emulated_waiting(), 1);
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(emulated_waiting(), 0);
    host[0] = 5;
    OK(cudaMemcpyAsync(host, p, sizeof x, cudaMemcpyDeviceToHost, stream));
    assert_true(host[0] == 5); /* not here yet */
    OK(cudaStreamSynchronize(stream));
    assert_true(host[0] == 9);
    OK(cudaFreeHost(host));
    OK(cudaFree(p));
}

static void memory_freed_before_its_work(void **state)
{
    float x[4] = { 0 }, *host;
    void *p = upload(x, sizeof x), *q = far(sizeof x);
    selftest_args a = { p, q, 4, 0, 0 };
    (void)state;
    OK(cudaMallocHost((void **)&host, sizeof x));
    OK(cudaMemcpyAsync(p, host, sizeof x, cudaMemcpyHostToDevice, stream));
    OK(cudaFreeHost(host));
    FAILS(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
    emulated_revive();
    OK(selftest_affine(&a, stream));
    OK(cudaFree(q));
    FAILS(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
    emulated_revive();
    OK(cudaFree(p));
    FAILS(cudaFree(p), cudaErrorInvalidValue);
}

static void copies_are_held_to_allocations(void **state)
{
    char x[64] = { 0 }, *host;
    char *p = far(32);
    (void)state;
    OK(cudaMallocHost((void **)&host, 32));
    FAILS(cudaMemcpyAsync(p, x, 33, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    FAILS(cudaMemcpyAsync(p + 16, x, 17, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    OK(cudaMemcpyAsync(p + 16, x, 16, cudaMemcpyHostToDevice, stream));
    FAILS(cudaMemcpyAsync(x, p, 4, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    FAILS(cudaMemcpyAsync(p, p + 16, 4, cudaMemcpyDeviceToHost, stream), cudaErrorInvalidValue);
    FAILS(cudaMemcpyAsync(p, p + 8, 16, cudaMemcpyDeviceToDevice, stream), cudaErrorInvalidValue);
    FAILS(cudaMemcpyAsync(host + 8, p, 32, cudaMemcpyDeviceToHost, stream), cudaErrorInvalidValue);
    FAILS(cudaMemsetAsync(p, 0, 33, stream), cudaErrorInvalidValue);
    OK(cudaMemcpyAsync(p, x, 16, cudaMemcpyDefault, stream));
    OK(cudaStreamSynchronize(stream));
    OK(cudaFree(p));
    OK(cudaFreeHost(host));
    (void)cudaGetLastError();
}

static void events_and_two_streams(void **state)
{
    float x = 1, y = 0, ms = -1;
    void *p = far(sizeof x);
    cudaStream_t other;
    cudaEvent_t begin, end;
    (void)state;
    OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    OK(cudaEventCreate(&begin));
    OK(cudaEventCreate(&end));
    OK(cudaEventRecord(begin, other));
    OK(cudaMemcpyAsync(p, &x, sizeof x, cudaMemcpyHostToDevice, other));
    OK(cudaEventRecord(end, other));
    FAILS(cudaEventElapsedTime(&ms, begin, end), cudaErrorNotReady);
    OK(cudaStreamWaitEvent(stream, end, 0)); /* without it the download would see 0xff bytes */
    download(&y, p, sizeof y);
    assert_true(y == 1);
    OK(cudaEventSynchronize(end));
    OK(cudaEventElapsedTime(&ms, begin, end));
    assert_true(ms >= 0);
    OK(cudaMemsetAsync(p, 0, sizeof x, other));
    FAILS(cudaStreamQuery(other), cudaErrorNotReady);
    OK(cudaStreamQuery(other));
    OK(cudaEventDestroy(begin));
    OK(cudaEventDestroy(end));
    OK(cudaStreamDestroy(other));
    OK(cudaFree(p));
    (void)cudaGetLastError();
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static cudaGraphExec_t capture_affine(selftest_args *a, int launches)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    size_t nodes = 0;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < launches; i++)
        OK(selftest_affine(a, stream));
    OK(cudaStreamEndCapture(stream, &graph));
    OK(cudaGraphGetNodes(graph, NULL, &nodes));
    assert_int_equal(nodes, launches);
    OK(cudaGraphInstantiate(&exec, graph, 0));
    OK(cudaGraphDestroy(graph));
    return exec;
}

static void a_graph_is_replayed(void **state)
{
    float x[4] = { 0, 1, 2, 3 };
    void *p = upload(x, sizeof x);
    selftest_args a = { p, p, 4, 0, 0 }; /* in place: y = 2 y + 1 */
    cudaGraphExec_t exec = capture_affine(&a, 2);
    (void)state;
    assert_int_equal(emulated_waiting(), 0); /* recorded, not run */
    OK(cudaGraphLaunch(exec, stream));
    OK(cudaGraphLaunch(exec, stream));
    download(x, p, sizeof x);
    for (int i = 0; i < 4; i++)
        assert_true(x[i] == 16.0f * (float)i + 15);
    OK(cudaFree(p)); /* and a graph of what is freed is found out */
    OK(cudaGraphLaunch(exec, stream));
    FAILS(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
    emulated_revive();
    OK(cudaGraphExecDestroy(exec));
    FAILS(cudaGraphLaunch(exec, stream), cudaErrorInvalidValue);
    (void)cudaGetLastError();
}

enum { MALLOC, FREE, WAIT, WAIT_FOR_ALL, COPY_AND_WAIT, PAGEABLE, FORBIDDEN };

static cudaError_t forbidden(int what, void *p, void **q)
{
    static float host;
    switch (what) {
    case MALLOC:
        return cudaMalloc(q, 4);
    case FREE:
        return cudaFree(p);
    case WAIT:
        return cudaStreamSynchronize(stream);
    case WAIT_FOR_ALL:
        return cudaDeviceSynchronize();
    case COPY_AND_WAIT:
        return cudaMemcpy(p, &host, sizeof host, cudaMemcpyHostToDevice);
    default:
        return cudaMemcpyAsync(p, &host, sizeof host, cudaMemcpyHostToDevice, stream);
    }
}

static void what_a_capture_forbids(void **state)
{
    void *p = far(16), *q;
    (void)state;
    for (int what = 0; what < FORBIDDEN; what++) {
        cudaGraph_t graph;
        selftest_args a = { p, p, 4, 0, 0 };
        OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        OK(selftest_affine(&a, stream));
        FAILS(forbidden(what, p, &q), cudaErrorStreamCaptureUnsupported);
        FAILS(selftest_affine(&a, stream), cudaErrorStreamCaptureInvalidated);
        FAILS(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
        assert_null(graph);
        OK(cudaStreamSynchronize(stream));
    }
    (void)cudaGetLastError();
    OK(cudaFree(p));
}

/* ---- steering -------------------------------------------------------------------------------- */

static void calls_that_fail_when_asked(void **state)
{
    float x[4] = { 0 };
    void *p = upload(x, sizeof x), *q;
    selftest_args a = { p, p, 4, 0, 0 };
    long before = emulated_count("launch");
    (void)state;
    emulated_fail("launch", 3);
    OK(selftest_affine(&a, stream));
    OK(selftest_affine(&a, stream));
    FAILS(selftest_affine(&a, stream), cudaErrorLaunchOutOfResources);
    OK(selftest_affine(&a, stream));
    assert_int_equal(emulated_count("launch"), before + 4);
    FAILS(cudaGetLastError(), cudaErrorLaunchOutOfResources);
    emulated_fail("alloc", 1);
    FAILS(cudaMalloc(&q, 4), cudaErrorMemoryAllocation);
    assert_null(q);
    emulated_fail("sync", 1);
    FAILS(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
    OK(cudaStreamSynchronize(stream));
    emulated_fail("cudnn", 2);
    assert_int_equal(emulated_failing("cudnn"), 0);
    assert_int_equal(emulated_failing("cudnn"), 1);
    assert_int_equal(emulated_failing("cudnn"), 0);
    (void)cudaGetLastError();
    OK(cudaFree(p));
}

static void memory_and_devices(void **state)
{
    size_t left, total;
    void *p, *q;
    int n = 7;
    (void)state;
    emulated_set_memory(1000);
    OK(cudaMalloc(&p, 600));
    FAILS(cudaMalloc(&q, 600), cudaErrorMemoryAllocation);
    OK(cudaMemGetInfo(&left, &total));
    assert_int_equal(left, 400);
    assert_int_equal(total, 1000);
    OK(cudaFree(p));
    OK(cudaMalloc(&p, 1000));
    OK(cudaFree(p));
    emulated_set_memory((uint64_t)2 << 30);
    emulated_devices(0);
    FAILS(cudaGetDeviceCount(&n), cudaErrorNoDevice);
    assert_int_equal(n, 0);
    FAILS(cudaMalloc(&p, 4), cudaErrorNoDevice);
    emulated_devices(-1);
    FAILS(cudaGetDeviceCount(&n), cudaErrorInsufficientDriver);
    emulated_devices(1);
    OK(cudaGetDeviceCount(&n));
    assert_int_equal(n, 1);
    FAILS(cudaSetDevice(1), cudaErrorInvalidDevice);
    (void)cudaGetLastError();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(block_sums),
        TEST(transpose),
        TEST(bf16),
        TEST(votes_and_counts),
        TEST(many_threads),
        TEST(threads_that_do_not_meet),
        TEST(unwritten_shared_memory),
        TEST(writing_beside_an_allocation),
        TEST(launches_that_are_refused),
        TEST(nothing_happens_before_a_wait),
        TEST(memory_freed_before_its_work),
        TEST(copies_are_held_to_allocations),
        TEST(events_and_two_streams),
        TEST(a_graph_is_replayed),
        TEST(what_a_capture_forbids),
        TEST(calls_that_fail_when_asked),
        TEST(memory_and_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void cuda_emulator_without_cuda_headers(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuda_emulator_without_cuda_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
