/* SPDX-License-Identifier: Apache-2.0
 *
 * GRIB of any bytes: an error or frames, never a crash. Not JPEG 2000 and CCSDS: on damaged data
 * ecCodes 2.28 leaks what OpenJPEG holds, and libaec 1.0.6 crashes.
 */
#include <string.h>

#include "tests/fuzz/radar_frames.h"

/* Anything that a reader could take for a section 5 of template 40 or 42. */
static bool decoded_by_others(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 11 <= size; i++)
        if (data[i + 4] == 5 && data[i + 9] == 0 && (data[i + 10] == 40 || data[i + 10] == 42))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (gen_radar_grib.recognises(data, size) && !decoded_by_others(data, size))
        fuzz_radar(&gen_radar_grib, data, size);
    return 0;
}
