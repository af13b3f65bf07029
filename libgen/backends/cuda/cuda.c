/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA backend: the device, its memory and its one stream, and the order of the kernels.
 */
#include "libgen/backends/cuda/cuda.h"

#include <stdio.h>
#include <string.h>

#include "libgen/backends/cuda/cudnn.h"
#include "libgen/backends/cuda/cublas.h"
#include "libgen/base/alloc.h"

/* ---- failures -------------------------------------------------------------------------------- */

static int name_length(const char *call)
{
    return (int)strcspn(call, "(");
}

gen_status gen_cuda_fail(cudaError_t e, const char *call)
{
    (void)cudaGetLastError(); /* it is told now, and is not the next call's */
    return gen_fail(e == cudaErrorMemoryAllocation ? GEN_ENOMEM : GEN_EDEVICE, "CUDA, %.*s: %s",
                    name_length(call), call, cudaGetErrorString(e));
}

gen_status gen_cudnn_fail(cudnnStatus_t e, const char *call)
{
    char more[256] = "";
    cudnnGetLastErrorString(more, sizeof more);
    more[strcspn(more, "\n")] = 0;
    return gen_fail(e == CUDNN_STATUS_ALLOC_FAILED ? GEN_ENOMEM : GEN_EDEVICE,
                    "cuDNN, %.*s: %s%s%s", name_length(call), call, cudnnGetErrorString(e),
                    *more ? ": " : "", more);
}

gen_status gen_cublas_fail(cublasStatus_t e, const char *call)
{
    return gen_fail(e == CUBLAS_STATUS_ALLOC_FAILED ? GEN_ENOMEM : GEN_EDEVICE,
                    "cuBLASLt, %.*s: %s", name_length(call), call, cublasLtGetStatusString(e));
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* As gen_cuda_of. Memory, recordings and streams are freed from any thread. */
static const gen_cuda *current(void *ctx)
{
    const gen_cuda *c = ctx;
    (void)cudaSetDevice(c->device);
    return c;
}

static gen_status far_alloc(void *ctx, void **out, uint64_t bytes, const char *what)
{
    size_t left = 0, total = 0;
    const gen_cuda *c = current(ctx);
    *out = NULL;
    cudaError_t e = cudaMalloc(out, bytes ? bytes : 1);
    if (e != cudaErrorMemoryAllocation)
        return gen_cuda_status(e, "cudaMalloc");
    (void)cudaGetLastError();
    (void)cudaMemGetInfo(&left, &total);
    return gen_fail(GEN_ENOMEM, "%s: %.1f MB asked for on %s, which has %.1f of %.1f MB left", what,
                    (double)bytes / 1e6, c->name, (double)left / 1e6, (double)total / 1e6);
}

static void far_free(void *p)
{
    if (p)
        (void)cudaFree(p); /* fails only where an earlier kernel did, and that was told */
}

static gen_status far_alloc_host(void *ctx, void **out, uint64_t bytes, const char *what)
{
    (void)current(ctx);
    *out = NULL;
    cudaError_t e = cudaMallocHost(out, bytes ? bytes : 1);
    if (e == cudaErrorMemoryAllocation)
        return gen_fail_in(gen_cuda_fail(e, "cudaMallocHost"), "%s, %.1f MB", what,
                           (double)bytes / 1e6);
    GEN_TRY(gen_cuda_status(e, "cudaMallocHost"));
    memset(*out, 0, bytes);
    return GEN_OK;
}

static void far_free_host(void *p)
{
    if (p)
        (void)cudaFreeHost(p);
}

static gen_status far_wait(void *ctx)
{
    const gen_cuda *c = current(ctx);
    GEN_CUDA(cudaStreamSynchronize(c->stream));
    return GEN_OK;
}

static gen_status queue_copy(void *ctx, void *to, const void *from, uint64_t bytes,
                             enum cudaMemcpyKind kind)
{
    const gen_cuda *c = current(ctx);
    if (bytes)
        GEN_CUDA(cudaMemcpyAsync(to, from, bytes, kind, c->stream));
    return GEN_OK;
}

static gen_status far_upload(void *ctx, void *far, const void *host, uint64_t bytes)
{
    return queue_copy(ctx, far, host, bytes, cudaMemcpyHostToDevice);
}

static gen_status far_download(void *ctx, void *host, const void *far, uint64_t bytes)
{
    return queue_copy(ctx, host, far, bytes, cudaMemcpyDeviceToHost);
}

static gen_status far_copy(void *ctx, void *to, const void *from, uint64_t bytes)
{
    return queue_copy(ctx, to, from, bytes, cudaMemcpyDeviceToDevice);
}

static gen_status far_put(void *ctx, void *far, const void *host, uint64_t bytes)
{
    GEN_TRY(far_upload(ctx, far, host, bytes));
    return far_wait(ctx);
}

static gen_status far_get(void *ctx, void *host, const void *far, uint64_t bytes)
{
    GEN_TRY(far_download(ctx, host, far, bytes));
    return far_wait(ctx);
}

static gen_status far_zero(void *ctx, void *far, uint64_t bytes)
{
    const gen_cuda *c = current(ctx);
    if (bytes)
        GEN_CUDA(cudaMemsetAsync(far, 0, bytes, c->stream));
    return GEN_OK;
}

static gen_status far_room(void *ctx, uint64_t *left, uint64_t *total)
{
    size_t l, t;
    (void)current(ctx);
    GEN_CUDA(cudaMemGetInfo(&l, &t));
    *left = l;
    *total = t;
    return GEN_OK;
}

/* ---- CUDA graphs ----------------------------------------------------------------------------- */

/* Relaxed: a kernel's first launch may load its module (CUDA loads them late), and what cuDNN and
 * cuBLASLt do then is their affair; the other modes forbid it. That our own calls are such as a
 * capture takes, the emulator of tests/cuda sees in every mode. */
static gen_status far_record(void *ctx)
{
    const gen_cuda *c = current(ctx);
    GEN_CUDA(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeRelaxed));
    return GEN_OK;
}

static gen_status far_recorded(void *ctx, void **out)
{
    const gen_cuda *c = current(ctx);
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    cudaError_t e = cudaStreamEndCapture(c->stream, &graph);
    if (!out) { /* what made it unwanted is told already */
        if (graph)
            (void)cudaGraphDestroy(graph);
        (void)cudaGetLastError();
        return GEN_OK;
    }
    *out = NULL;
    if (e == cudaSuccess)
        e = cudaGraphInstantiate(&exec, graph, 0);
    if (graph)
        (void)cudaGraphDestroy(graph);
    *out = exec;
    return gen_cuda_status(e, "cudaGraphInstantiate");
}

static gen_status far_replay(void *ctx, void *recording)
{
    const gen_cuda *c = current(ctx);
    GEN_CUDA(cudaGraphLaunch(recording, c->stream));
    return GEN_OK;
}

static void far_free_recording(void *recording)
{
    if (recording)
        (void)cudaGraphExecDestroy(recording);
}

/* ---- open and close -------------------------------------------------------------------------- */

static const gen_kernel *const *const groups[] = {
    gen_cuda_conv_kernels,
    gen_cuda_elementwise_kernels,
    gen_cuda_index_kernels,
    gen_cuda_matmul_kernels,
    gen_cuda_move_kernels,
    gen_cuda_norm_kernels,
    gen_cuda_pool_kernels,
    gen_cuda_reduce_kernels,
};

enum { MAX_KERNELS = 256 };

const gen_kernel *const *gen_cuda_kernels(void)
{
    static const gen_kernel *list[MAX_KERNELS];
    int n = 0; /* two threads that come at once write the same */
    for (int i = 0; i < GEN_LEN(groups); i++)
        for (int k = 0; groups[i][k] && n < MAX_KERNELS - 1; k++)
            list[n++] = groups[i][k];
    return list;
}

const char *gen_cuda_version(void)
{
    return GEN_VERSION;
}

static void close_cuda(gen_backend *b)
{
    gen_cuda *c = b->impl;
    if (c) {
        gen_cudnn_plans_free(c->plans);
        if (c->dnn)
            (void)cudnnDestroy(c->dnn);
        if (c->blas)
            (void)cublasLtDestroy(c->blas);
        if (c->stream)
            (void)cudaStreamDestroy(c->stream);
        gen_free(c);
    }
    gen_backend_close(&b->host);
    gen_free(b);
}

static gen_status count_devices(int *n, int *driver)
{
    *n = *driver = 0;
    cudaError_t e = cudaGetDeviceCount(n); /* leaves n alone where it fails */
    (void)cudaGetLastError();
    if (e == cudaErrorNoDevice || (e == cudaSuccess && !*n))
        return gen_fail(GEN_EDEVICE, "there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it");
    GEN_CUDA(cudaDriverGetVersion(driver));
    if (e == cudaErrorInsufficientDriver && !*driver)
        return gen_fail(GEN_EDEVICE, "no NVIDIA driver is installed, expected one for CUDA %d",
                        CUDART_VERSION / 1000);
    if (e == cudaErrorInsufficientDriver)
        return gen_fail(GEN_EDEVICE, "the NVIDIA driver is for CUDA %d.%d, expected %d.%d or newer",
                        *driver / 1000, *driver % 1000 / 10, CUDART_VERSION / 1000,
                        CUDART_VERSION % 1000 / 10);
    return gen_cuda_status(e, "cudaGetDeviceCount");
}

gen_status gen_cuda_devices(gen_gpu *out, int most, int *n)
{
    int driver;
    GEN_TRY(count_devices(n, &driver));
    for (int i = 0; i < *n && i < most; i++) {
        struct cudaDeviceProp p;
        GEN_CUDA(cudaGetDeviceProperties(&p, i));
        out[i] = (gen_gpu){
            .major = p.major, .minor = p.minor, .bytes = p.totalGlobalMem, .driver = driver
        };
        snprintf(out[i].name, sizeof out[i].name, "%.255s", p.name);
    }
    return GEN_OK;
}

static gen_status find_device(gen_cuda *c, int device)
{
    int n, driver;
    GEN_TRY(count_devices(&n, &driver));
    if (device >= n)
        return gen_fail(GEN_EDEVICE, "there is no GPU of number %d, %d found", device, n);
    struct cudaDeviceProp p;
    GEN_CUDA(cudaSetDevice(device));
    GEN_CUDA(cudaGetDeviceProperties(&p, device));
    c->device = device;
    snprintf(c->name, sizeof c->name, "cuda:%d", device);
    snprintf(c->text, sizeof c->text, "%.100s, compute capability %d.%d, %.1f GB, cuDNN %zu",
             p.name, p.major, p.minor, (double)p.totalGlobalMem / 1e9, cudnnGetVersion());
    if (p.major < 8)
        return gen_fail(GEN_EDEVICE, "%s has compute capability %d.%d, expected 8.0 or more",
                        p.name, p.major, p.minor);
    return GEN_OK;
}

static gen_status open_libraries(gen_cuda *c)
{
    GEN_CUDA(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
    GEN_CUDNN(cudnnCreate(&c->dnn));
    GEN_CUDNN(cudnnSetStream(c->dnn, c->stream));
    GEN_CUBLAS(cublasLtCreate(&c->blas));
    return GEN_OK;
}

gen_status gen_cuda_open(gen_backend **out, int device, gen_backend *host)
{
    gen_status status = GEN_OK;
    gen_backend *b;
    gen_cuda *c;
    *out = NULL;
    GEN_TRY(GEN_ALLOC(&b, 1, "backend"));
    GEN_GOTO(GEN_ALLOC(&c, 1, "backend"));
    b->impl = c;
    GEN_GOTO(find_device(c, device));
    GEN_GOTO(open_libraries(c));
    c->far = (gen_far){
        .ctx = c,
        .alloc = far_alloc,
        .free = far_free,
        .alloc_host = far_alloc_host,
        .free_host = far_free_host,
        .put = far_put,
        .get = far_get,
        .upload = far_upload,
        .download = far_download,
        .copy = far_copy,
        .zero = far_zero,
        .wait = far_wait,
        .record = far_record,
        .recorded = far_recorded,
        .replay = far_replay,
        .free_recording = far_free_recording,
        .room = far_room,
    };
    b->name = c->name;
    b->text = c->text;
    b->kernels = gen_cuda_kernels();
    b->train = &gen_cuda_train;
    b->far = &c->far;
    b->pool = host->pool;
    b->isa = host->isa;
    b->peak = gen_cuda_peak;
    b->close = close_cuda;
    b->host = host;
    *out = b;
    b = NULL;
done:
    if (b)
        close_cuda(b);
    return status;
}
