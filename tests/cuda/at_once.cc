/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stand-ins for cuDNN and cuBLASLt need of a runtime, for the test of these alone: work
 * runs at once, all memory is the device's.
 */
#include <map>
#include <string>

#include "tests/cuda/emulated.h"

static std::map<std::string, long> calls, fails_at;

void emulated_fail(const char *what, long nth)
{
    fails_at[what] = nth ? calls[what] + nth : 0;
}

long emulated_count(const char *what)
{
    return calls[what];
}

int emulated_failing(const char *what)
{
    return ++calls[what] == fails_at[what];
}

int emulated_owns(const void *p, uint64_t bytes)
{
    return p && bytes;
}

cudaError_t emulated_enqueue(cudaStream_t, std::function<void()> work)
{
    work();
    return cudaSuccess;
}
