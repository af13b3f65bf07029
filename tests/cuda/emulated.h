/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests ask of the emulated CUDA device (README.md): to fail a given call, to be small, to be
 * absent; and what the stand-ins for cuDNN and cuBLASLt need of it. A test that loads the emulated
 * libgen-cuda.so finds these by name.
 */
#ifndef LIBGEN_TESTS_CUDA_EMULATED_H
#define LIBGEN_TESTS_CUDA_EMULATED_H

#include <stdint.h>

#include <cuda_runtime_api.h>

#define EMULATED_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* The nth call from now of this kind fails, once; 0: none does. Kinds: "alloc", "host_alloc",
 * "launch", "copy" (memset too), "capture" (its begin and its end), "instantiate", "graph_launch",
 * "sync", "stream" (its creation), "cudnn", "cublas". GEN_EMULATED_FAIL=kind:n is such a call at
 * the start. */
EMULATED_API void emulated_fail(const char *what, long nth);
/* Calls of this kind since the start. */
EMULATED_API long emulated_count(const char *what);

/* Memory of the device, 2 GB unless told here or by GEN_EMULATED_MEMORY=bytes. */
EMULATED_API void emulated_set_memory(uint64_t bytes);
/* How many devices there are, 1 unless told here or by GEN_EMULATED_DEVICES; with -1 the driver is
 * too old. */
EMULATED_API void emulated_devices(int n);

/* What is not given back: bytes of device memory; streams, events, graphs, allocations of either
 * kind. */
EMULATED_API uint64_t emulated_live_bytes(void);
EMULATED_API long emulated_live_objects(void);
/* Kernels and copies that wait in streams for a synchronisation. */
EMULATED_API long emulated_waiting(void);
/* A device that faulted refuses every later call, as a real one does; this makes it a new one.
 * Memory and streams stay. */
EMULATED_API void emulated_revive(void);

/* What the stand-in for cuDNN offers from now on; GEN_EMULATED_CUDNN says the same at the start.
 * "default": three engines for f32 (one without equal bytes, whose results are off by 3 %; one that
 * reads TF32; one without fault), two for bf16, one as fall-back. "no_engines": none.
 * "no_fusion": none for more than one operation. "unaligned": none where the channels are no
 * multiple of 8 (bf16) or 4 (f32). "f32_dw": none for weight gradients in f32 of bf16. "refused":
 * plans of all but the fall-back are refused. */
EMULATED_API void emulated_cudnn(const char *what);
/* The same for cuBLASLt, GEN_EMULATED_CUBLAS: "default" or "no_algorithms". */
EMULATED_API void emulated_cublas(const char *what);
/* Handles and descriptors of each that were not destroyed. */
EMULATED_API long emulated_live_cudnn(void);
EMULATED_API long emulated_live_cublas(void);

/* ---- for stand-ins of other libraries -------------------------------------------------------- */

/* Counts a call of this kind and says whether it is to fail. */
EMULATED_API int emulated_failing(const char *what);
/* bytes at p lie in one allocation of device memory that is not freed. */
EMULATED_API int emulated_owns(const void *p, uint64_t bytes);
/* From inside queued work: the device faults (cudaErrorIllegalAddress at the next
 * synchronisation), and `why` is printed. */
EMULATED_API void emulated_fault(const char *why);

#ifdef __cplusplus
}

#include <functional>

/* Queues work on a stream: it runs at a synchronisation, or is recorded where the stream is being
 * captured and runs each time that its graph is launched. */
EMULATED_API cudaError_t emulated_enqueue(cudaStream_t s, std::function<void()> work);
#endif

#endif
