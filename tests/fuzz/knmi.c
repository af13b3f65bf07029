/* SPDX-License-Identifier: Apache-2.0
 *
 * KNMI maps with changes that the bytes choose: an error or frames, never a crash.
 */
#include "tests/fuzz/hdf5_changes.h"

static const char *const objects[] = {
    "",
    "overview",
    "geographic",
    "geographic/map_projection",
    "image1",
    "image1/calibration",
    "image1/image_data",
    "image2",
    "image2/calibration",
    "image2/image_data",
};
static const char *const attributes[] = {
    "product_datetime_start", "product_datetime_end",     "geo_number_rows",
    "geo_number_columns",     "geo_column_offset",        "geo_row_offset",
    "geo_pixel_size_x",       "geo_pixel_size_y",         "geo_dim_pixel",
    "geo_product_corners",    "projection_proj4_params",  "image_geo_parameter",
    "calibration_formulas",   "calibration_missing_data", "calibration_out_of_image",
};
static const char *const variables[] = { "image1", "image2", "image", "image1/calibration", "" };
static const char *const texts[] = { "GEO=0.5*PV+-32",
                                     "GEO=1e300*PV+1e300",
                                     "GEO=nan*PV+0",
                                     "REFLECTIVITY_[DBZ]",
                                     "PRECIP_[MM]",
                                     "KM,KM",
                                     "M,M",
                                     "DEG,DEG",
                                     "01-JUL-2020;12:05:00.000",
                                     "31-FEB-2020;12:05:00",
                                     "",
                                     "+proj=stere +lat_0=90 +a=6378.14 +b=6356.75 x_0=0 y_0=0" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const fuzz_names names = {
        objects,          attributes,          variables,          texts,
        GEN_LEN(objects), GEN_LEN(attributes), GEN_LEN(variables), GEN_LEN(texts)
    };
    fuzz_hdf5(hdf5_knmi, &names, data, size);
    return 0;
}
