/* SPDX-License-Identifier: Apache-2.0
 *
 * TIFF of any bytes: an error or a frame, never a crash.
 */
#include "tests/fuzz/radar_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (gen_radar_geotiff.recognises(data, size))
        fuzz_radar(&gen_radar_geotiff, data, size);
    return 0;
}
