/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy arrays of any bytes: an error or frames, never a crash.
 */
#include "tests/fuzz/radar_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (gen_radar_npy.recognises(data, size))
        fuzz_radar(&gen_radar_npy, data, size);
    return 0;
}
