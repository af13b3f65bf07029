/* SPDX-License-Identifier: Apache-2.0
 *
 * Between grid.cc, which runs kernels, and runtime.cc, which decides when.
 */
#ifndef LIBGEN_TESTS_CUDA_GRID_H
#define LIBGEN_TESTS_CUDA_GRID_H

#include <functional>
#include <string>

#include <vector_types.h>

/* Every thread of every block; `backwards`: the last block first. What went wrong, or nothing. */
std::string emulated_run_grid(dim3 grid, dim3 block, bool backwards,
                              const std::function<void()> &thread);

#endif
