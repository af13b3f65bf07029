/* SPDX-License-Identifier: Apache-2.0
 *
 * The door to libgen-cuda.so. It exports gen_cuda_version, gen_cuda_kernels, gen_cuda_devices and
 * gen_cuda_open (libgen/backends/cuda/cuda.h).
 */
#ifndef LIBGEN_BACKENDS_CUDA_LIBRARY_H
#define LIBGEN_BACKENDS_CUDA_LIBRARY_H

#include "libgen/backends/backend.h"

#define GEN_DEVICES_EXPECTED "expected cpu, cuda, cuda:NUMBER or auto"

/* device: "cuda" or "cuda:NUMBER". EDEVICE: the library, the driver or the device is not there. */
gen_status gen_cuda_library_open(gen_backend **out, const char *device, int threads);

#endif
