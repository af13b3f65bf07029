/* SPDX-License-Identifier: Apache-2.0
 *
 * ODIM maps with changes that the bytes choose: an error or frames, never a crash.
 */
#include "tests/fuzz/hdf5_changes.h"

static const char *const objects[] = {
    "",
    "what",
    "where",
    "how",
    "dataset1",
    "dataset1/what",
    "dataset1/where",
    "dataset1/data1",
    "dataset1/data1/what",
    "dataset1/data1/data",
    "dataset1/data1/quality1",
    "dataset1/data1/quality1/data",
    "dataset1/data1/quality1/how",
    "dataset2",
    "dataset2/what",
    "dataset2/data1",
    "dataset2/data1/what",
    "dataset1/data2",
    "dataset2/data1/data",
};
static const char *const attributes[] = {
    "Conventions", "object",    "date",    "time",    "projdef",   "xsize",  "ysize",
    "xscale",      "yscale",    "LL_lon",  "LL_lat",  "UL_lon",    "UL_lat", "UR_lon",
    "UR_lat",      "LR_lon",    "LR_lat",  "gain",    "offset",    "nodata", "undetect",
    "quantity",    "startdate", "enddate", "endtime", "starttime", "zr_a",   "task",
};
static const char *const variables[] = {
    "DBZH",     "RATE", "dataset2/data1", "dataset1/data1/quality1", "/dataset1/data1", "x",
    "dataset1", ""
};
static const char *const texts[] = { "COMP",
                                     "IMAGE",
                                     "RATE",
                                     "ACRR",
                                     "DBZH",
                                     "20200701",
                                     "20200230",
                                     "121000",
                                     "1205",
                                     "ODIM_H5/V2_2",
                                     "",
                                     "QIND",
                                     "+proj=longlat +ellps=WGS84",
                                     "+proj=merc +units=km +R=6371",
                                     "EPSG:3035" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const fuzz_names names = {
        objects,          attributes,          variables,          texts,
        GEN_LEN(objects), GEN_LEN(attributes), GEN_LEN(variables), GEN_LEN(texts)
    };
    fuzz_hdf5(hdf5_odim, &names, data, size);
    return 0;
}
