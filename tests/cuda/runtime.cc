/* SPDX-License-Identifier: Apache-2.0
 *
 * CUDA's runtime on the emulated device: the device, its memory, copies, kernels, names of errors.
 */
#include "tests/cuda/grid.h"
#include "tests/cuda/state.h"

using namespace emulated;

/* ---- devices --------------------------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *n)
{
    entry here;
    *n = dev().devices > 0 ? dev().devices : 0;
    return done(dev().devices > 0 ? cudaSuccess : here.may());
}

cudaError_t cudaSetDevice(int d)
{
    ENTER();
    if (d < 0 || d >= dev().devices)
        return done(cudaErrorInvalidDevice);
    device_of_thread = d;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *d)
{
    ENTER();
    *d = device_of_thread;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int d)
{
    ENTER();
    if (d < 0 || d >= dev().devices)
        return done(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated device");
    p->totalGlobalMem = dev().memory;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerMultiprocessor = 228 << 10;
    p->regsPerBlock = 65536;
    p->warpSize = 32;
    p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 0x7fffffff;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->major = 9;
    p->minor = 0;
    p->multiProcessorCount = 132;
    p->maxThreadsPerMultiProcessor = 2048;
    p->l2CacheSize = 50 << 20;
    p->unifiedAddressing = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *v, enum cudaDeviceAttr a, int d)
{
    struct cudaDeviceProp p;
    TRY(cudaGetDeviceProperties(&p, d));
    switch (static_cast<int>(a)) {
    case cudaDevAttrMultiProcessorCount:
        *v = p.multiProcessorCount;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *v = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *v = p.minor;
        break;
    case cudaDevAttrMaxThreadsPerBlock:
        *v = p.maxThreadsPerBlock;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *v = static_cast<int>(p.sharedMemPerBlock);
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *v = p.maxThreadsPerMultiProcessor;
        break;
    case cudaDevAttrWarpSize:
        *v = p.warpSize;
        break;
    case cudaDevAttrL2CacheSize:
        *v = p.l2CacheSize;
        break;
    case cudaDevAttrClockRate:
        *v = 1000000;
        break;
    case cudaDevAttrMemoryClockRate:
        *v = 1000000;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *v = 1024;
        break;
    default:
        return done(
            say(cudaErrorInvalidValue, "attribute " + std::to_string(a) + " is not emulated"));
    }
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *v)
{
    *v = dev().devices >= 0 ? CUDART_VERSION : 11000;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *v)
{
    *v = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *, enum cudaFuncAttribute, int)
{
    ENTER();
    return cudaSuccess;
}

/* ---- memory ---------------------------------------------------------------------------------- */

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    *p = nullptr;
    ENTER();
    TRY(unsafe("cudaMalloc"));
    FAIL_IF("alloc", cudaErrorMemoryAllocation);
    if (bytes == 0)
        return cudaSuccess;
    *p = memory_alloc(bytes, dev().memory);
    return done(*p ? cudaSuccess : cudaErrorMemoryAllocation);
}

/* Of a device that faulted too, so that what is left can be counted. */
cudaError_t cudaFree(void *p)
{
    entry here;
    bool freed;
    if (!p)
        return cudaSuccess;
    if (dev().fault == cudaSuccess)
        TRY(here.may());
    TRY(unsafe("cudaFree"));
    std::string bad = memory_free(p, &freed);
    if (!freed)
        return done(say(cudaErrorInvalidValue, "cudaFree: " + bad));
    if (!bad.empty())
        fault(cudaErrorIllegalAddress, bad);
    return done(dev().fault);
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
    *p = nullptr;
    ENTER();
    TRY(unsafe("cudaHostAlloc"));
    FAIL_IF("host_alloc", cudaErrorMemoryAllocation);
    if (bytes == 0)
        return cudaSuccess;
    *p = pinned_alloc(bytes);
    return done(*p ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    return cudaHostAlloc(p, bytes, 0);
}

cudaError_t cudaFreeHost(void *p)
{
    entry here;
    if (!p)
        return cudaSuccess;
    if (dev().fault == cudaSuccess)
        TRY(here.may());
    TRY(unsafe("cudaFreeHost"));
    if (!pinned_free(p))
        return done(say(cudaErrorInvalidValue, "cudaFreeHost: no pinned memory begins there"));
    return done(dev().fault);
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total)
{
    ENTER();
    *total = dev().memory;
    *left = memory_live() < dev().memory ? dev().memory - memory_live() : 0;
    return cudaSuccess;
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* One end of a copy, held to its allocation. */
static cudaError_t check_end(const void *p, uint64_t n, bool far, const char *which, touched *t)
{
    if (far) {
        t->far.push_back(memory_holds(p, n));
        if (!t->far.back())
            return say(cudaErrorInvalidValue, std::string(which) + " of a copy of " +
                                                  std::to_string(n) +
                                                  " bytes lies in no allocation of the device");
        return cudaSuccess;
    }
    if (!p || memory_on_device(p))
        return say(cudaErrorInvalidValue, std::string(which) + " of a copy is no host memory");
    if (uint64_t number = pinned_holds(p, n))
        t->pinned.push_back(number);
    else if (pinned_holds(p, 0))
        return say(cudaErrorInvalidValue, std::string(which) + " of a copy of " +
                                              std::to_string(n) +
                                              " bytes ends outside its pinned memory");
    return cudaSuccess;
}

static cudaError_t queue_copy(CUstream_st *s, void *to, const void *from, size_t n,
                              cudaMemcpyKind kind)
{
    touched t;
    if (kind == cudaMemcpyDefault)
        kind = memory_on_device(to)
                   ? memory_on_device(from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice
               : memory_on_device(from) ? cudaMemcpyDeviceToHost
                                        : cudaMemcpyHostToHost;
    bool far_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool far_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (n == 0)
        return cudaSuccess;
    TRY(check_end(to, n, far_to, "the destination", &t));
    TRY(check_end(from, n, far_from, "the source", &t));
    if (is_capturing(s) &&
        ((!far_to && !pinned_holds(to, n)) || (!far_from && !pinned_holds(from, n)))) {
        s->capture = cudaStreamCaptureStatusInvalidated;
        return say(cudaErrorStreamCaptureUnsupported, "a copy of pageable memory in a capture");
    }
    const char *a = static_cast<const char *>(from), *b = static_cast<const char *>(to);
    if (a < b + n && b < a + n)
        return say(cudaErrorInvalidValue, "a copy whose ends overlap");
    return enqueue(s, [=] {
        if (t.is_live())
            memcpy(to, from, n);
        else
            fault(cudaErrorIllegalAddress, "a copy of memory that was freed before it ran");
    });
}

static cudaError_t queue_set(CUstream_st *s, void *to, int value, size_t n)
{
    touched t;
    if (n == 0)
        return cudaSuccess;
    TRY(check_end(to, n, true, "the destination", &t));
    return enqueue(s, [=] {
        if (t.is_live())
            memset(to, value, n);
        else
            fault(cudaErrorIllegalAddress, "a memset of memory that was freed before it ran");
    });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    FAIL_IF("copy", cudaErrorUnknown);
    return done(queue_copy(s, to, from, n, kind));
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t n, cudaStream_t stream)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    FAIL_IF("copy", cudaErrorUnknown);
    return done(queue_set(s, to, value, n));
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, enum cudaMemcpyKind kind)
{
    ENTER();
    TRY(unsafe("cudaMemcpy"));
    FAIL_IF("copy", cudaErrorUnknown);
    TRY(queue_copy(&dev().legacy, to, from, n, kind));
    return done(run(with_blocking(&dev().legacy), never));
}

cudaError_t cudaMemset(void *to, int value, size_t n)
{
    ENTER();
    TRY(unsafe("cudaMemset"));
    FAIL_IF("copy", cudaErrorUnknown);
    return done(queue_set(&dev().legacy, to, value, n)); /* a real one does not wait either */
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* Words of the argument that are addresses of device or pinned memory. */
static cudaError_t pointers_in(const char *name, const void *args, size_t bytes, touched *t)
{
    for (size_t i = 0; i + sizeof(void *) <= bytes; i += sizeof(void *)) {
        void *p;
        memcpy(&p, static_cast<const char *>(args) + i, sizeof p);
        if (uint64_t number = memory_holds(p, 0))
            t->far.push_back(number);
        else if (memory_on_device(p))
            return say(cudaErrorInvalidValue, std::string(name) + ": byte " + std::to_string(i) +
                                                  " of its argument points into no allocation");
        else if (uint64_t near = pinned_holds(p, 0))
            t->pinned.push_back(near);
    }
    return cudaSuccess;
}

/* "cudaError_t gen_launch(...) [with Args = X; ...]": X. */
static std::string name_in(const char *pretty)
{
    const char *p = strstr(pretty, "Args = ");
    return p ? std::string(p + 7, strcspn(p + 7, ";]")) : pretty;
}

cudaError_t emulated_launch(const char *pretty, dim3 grid, dim3 block, cudaStream_t stream,
                            const void *args, size_t bytes, std::function<void()> thread)
{
    CUstream_st *s;
    touched t;
    std::string name = name_in(pretty);
    ENTER();
    TRY(find(stream, &s));
    FAIL_IF("launch", cudaErrorLaunchOutOfResources);
    if (block.y != 1 || block.z != 1 || block.x == 0 || block.x % 32 || block.x > 1024)
        return done(say(cudaErrorInvalidConfiguration,
                        name + ": blocks of " + std::to_string(block.x) +
                            " threads, expected a multiple of 32 up to 1024"));
    if (block.x > 256) /* 256 threads of 255 registers each are all that a multiprocessor has */
        return done(say(cudaErrorLaunchOutOfResources,
                        name + ": blocks of " + std::to_string(block.x) +
                            " threads, which might need more registers than there are"));
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 ||
        grid.z > 65535)
        return done(say(cudaErrorInvalidConfiguration,
                        name + ": a grid of " + std::to_string(grid.x) + " x " +
                            std::to_string(grid.y) + " x " + std::to_string(grid.z) + " blocks"));
    TRY(pointers_in(name.c_str(), args, bytes, &t));
    return done(enqueue(s, [=] {
        if (!t.is_live()) {
            fault(cudaErrorIllegalAddress, name + " uses memory that was freed before it ran");
            return;
        }
        std::string bad = emulated_run_grid(grid, block, dev().launches++ & 1, thread);
        if (!bad.empty())
            fault(cudaErrorLaunchFailure, name + ": " + bad);
    }));
}

cudaError_t emulated_enqueue(cudaStream_t stream, work w)
{
    CUstream_st *s;
    ENTER();
    TRY(find(stream, &s));
    return done(enqueue(s, std::move(w)));
}

/* ---- errors ---------------------------------------------------------------------------------- */

cudaError_t cudaPeekAtLastError(void)
{
    entry here;
    return dev().fault != cudaSuccess ? dev().fault : last_error;
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t e = cudaPeekAtLastError();
    last_error = cudaSuccess;
    return e;
}

/* Sentences as the real library has them, of the codes that are used here. */
#define ERRORS(X)                                                                                  \
    X(cudaSuccess, "no error")                                                                     \
    X(cudaErrorInvalidValue, "invalid argument")                                                   \
    X(cudaErrorMemoryAllocation, "out of memory")                                                  \
    X(cudaErrorInvalidConfiguration, "invalid configuration argument")                             \
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version") \
    X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                     \
    X(cudaErrorInvalidDevice, "invalid device ordinal")                                            \
    X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                   \
    X(cudaErrorIllegalState, "the operation cannot be performed in the present state")             \
    X(cudaErrorNotReady, "device not ready")                                                       \
    X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                         \
    X(cudaErrorLaunchOutOfResources, "too many resources requested for launch")                    \
    X(cudaErrorLaunchFailure, "unspecified launch failure")                                        \
    X(cudaErrorNotPermitted, "operation not permitted")                                            \
    X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")       \
    X(cudaErrorStreamCaptureInvalidated,                                                           \
      "operation failed due to a previous error during capture")                                   \
    X(cudaErrorStreamCaptureWrongThread,                                                           \
      "attempt to terminate a thread-local capture sequence from another thread")                  \
    X(cudaErrorUnknown, "unknown error")

const char *cudaGetErrorName(cudaError_t e)
{
    switch (static_cast<int>(e)) {
#define X(code, text)                                                                              \
    case code:                                                                                     \
        return #code;
        ERRORS(X)
#undef X
    default:
        return "unrecognized error code";
    }
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch (static_cast<int>(e)) {
#define X(code, text)                                                                              \
    case code:                                                                                     \
        return text;
        ERRORS(X)
#undef X
    default:
        return "unrecognized error code";
    }
}
