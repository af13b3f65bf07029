/* SPDX-License-Identifier: Apache-2.0
 *
 * Small HDF5 files of the radar formats, made by HDF5 itself, and changes to them: for unit tests
 * and for fuzzing, where the bytes choose the changes. Corners by pyproj 3.7.2.
 */
#ifndef TESTS_HDF5_FILE_H
#define TESTS_HDF5_FILE_H

#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ODIM_H 12
#define ODIM_W 10
#define ODIM_LEFT 1000000 /* metres */
#define ODIM_TOP (-1000000)
#define ODIM_CELL 2000
#define ODIM_PROJ "+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=m +ellps=WGS84"

/* The group at a path; it is made where it is missing. */
static inline hid_t hdf5_group(hid_t file, const char *path)
{
    hid_t how = H5Pcreate(H5P_LINK_CREATE), group;
    H5Pset_create_intermediate_group(how, 1);
    if (path[0] && H5Lexists(file, path, H5P_DEFAULT) <= 0)
        group = H5Gcreate2(file, path, how, H5P_DEFAULT, H5P_DEFAULT);
    else
        group = H5Oopen(file, path[0] ? path : "/", H5P_DEFAULT);
    H5Pclose(how);
    return group;
}

static inline void hdf5_delete(hid_t file, const char *object, const char *name)
{
    hid_t group = hdf5_group(file, object);
    if (H5Aexists(group, name) > 0)
        H5Adelete(group, name);
    H5Oclose(group);
}

static inline void hdf5_set(hid_t file, const char *object, const char *name, hid_t type,
                            hid_t memory, hsize_t n, const void *value)
{
    hdf5_delete(file, object, name);
    hid_t group = hdf5_group(file, object);
    hid_t space = n ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, memory, value);
    H5Aclose(a);
    H5Sclose(space);
    H5Oclose(group);
}

static inline void hdf5_set_text(hid_t file, const char *object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    hdf5_set(file, object, name, type, type, 0, text);
    H5Tclose(type);
}

static inline void hdf5_set_number(hid_t file, const char *object, const char *name, double value)
{
    hdf5_set(file, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, &value);
}

static inline void hdf5_remove(hid_t file, const char *object)
{
    if (H5Lexists(file, object, H5P_DEFAULT) > 0)
        H5Ldelete(file, object, H5P_DEFAULT);
}

/* Packed value of a cell: 0 is undetect, 250 nodata in some. */
static inline int hdf5_packed(int row, int column)
{
    int i = row * ODIM_W + column;
    return i % 7 == 3 ? 0 : i % 11 == 5 ? 250 : i + 1;
}

/* A dataset [h,w] of that type and creation list (H5P_DEFAULT: contiguous) with the values above,
 * in place of what was there. */
static inline void hdf5_put_grid(hid_t file, const char *path, hid_t type, hid_t how, hsize_t h,
                                 hsize_t w)
{
    int32_t values[ODIM_H * ODIM_W] = { 0 };
    hsize_t size[2] = { h, w };
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(2, size, NULL);
    H5Pset_create_intermediate_group(links, 1);
    hdf5_remove(file, path);
    hid_t data = H5Dcreate2(file, path, type, space, links, how, H5P_DEFAULT);
    for (int i = 0; i < ODIM_H * ODIM_W; i++)
        values[i] = hdf5_packed(i / ODIM_W, i % ODIM_W);
    if (data >= 0 && h * w == ODIM_H * ODIM_W)
        H5Dwrite(data, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(data);
    H5Sclose(space);
    H5Pclose(links);
}

static inline void hdf5_put_field(hid_t file, const char *dataset, const char *quantity)
{
    char path[64];
    snprintf(path, sizeof path, "%s/data1/data", dataset);
    hdf5_put_grid(file, path, H5T_STD_U8LE, H5P_DEFAULT, ODIM_H, ODIM_W);
    snprintf(path, sizeof path, "%s/data1/what", dataset);
    hdf5_set_text(file, path, "quantity", quantity);
    hdf5_set_number(file, path, "gain", 0.5);
    hdf5_set_number(file, path, "offset", -1);
    hdf5_set_number(file, path, "nodata", 250);
    hdf5_set_number(file, path, "undetect", 0);
}

/* An ODIM map of one RATE at 2020-07-01T12:05:00Z. */
static inline hid_t hdf5_odim(const char *path)
{
    static const struct {
        const char *name;
        double lon, lat;
    } corners[] = { { "LL", -9.28096055042739, 63.452491339999845 },
                    { "UL", -9.422911148794153, 63.658528422485496 },
                    { "UR", -9.035309435911978, 63.70863320634174 },
                    { "LR", -8.895829590759623, 63.50220392476208 } };
    char name[16];
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hdf5_set_text(file, "", "Conventions", "ODIM_H5/V2_3");
    hdf5_set_text(file, "what", "object", "COMP");
    hdf5_set_text(file, "what", "date", "20200701");
    hdf5_set_text(file, "what", "time", "120500");
    hdf5_set_text(file, "where", "projdef", ODIM_PROJ);
    hdf5_set_number(file, "where", "xsize", ODIM_W);
    hdf5_set_number(file, "where", "ysize", ODIM_H);
    hdf5_set_number(file, "where", "xscale", ODIM_CELL);
    hdf5_set_number(file, "where", "yscale", ODIM_CELL);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s_lon", corners[i].name);
        hdf5_set_number(file, "where", name, corners[i].lon);
        snprintf(name, sizeof name, "%s_lat", corners[i].name);
        hdf5_set_number(file, "where", name, corners[i].lat);
    }
    hdf5_put_field(file, "dataset1", "RATE");
    hdf5_set_text(file, "dataset1/what", "startdate", "20200701");
    hdf5_set_text(file, "dataset1/what", "starttime", "120000");
    hdf5_set_text(file, "dataset1/what", "enddate", "20200701");
    hdf5_set_text(file, "dataset1/what", "endtime", "120500");
    return file;
}

/* A KNMI map: rain in 5 minutes that end at 2020-07-01T12:05:00Z. */
static inline hid_t hdf5_knmi(const char *path)
{
    static const float corners[8] = { 1.543f, 55.417f, 1.548f, 55.522f,
                                      1.703f, 55.520f, 1.697f, 55.414f };
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hdf5_set_text(file, "overview", "product_datetime_start", "01-JUL-2020;12:00:00.000");
    hdf5_set_text(file, "overview", "product_datetime_end", "01-JUL-2020;12:05:00.000");
    hdf5_set_number(file, "geographic", "geo_number_rows", ODIM_H);
    hdf5_set_number(file, "geographic", "geo_number_columns", ODIM_W);
    hdf5_set_number(file, "geographic", "geo_column_offset", 100);
    hdf5_set_number(file, "geographic", "geo_row_offset", 3700);
    hdf5_set_number(file, "geographic", "geo_pixel_size_x", 1);
    hdf5_set_number(file, "geographic", "geo_pixel_size_y", -1);
    hdf5_set_text(file, "geographic", "geo_dim_pixel", "KM,KM");
    hdf5_set(file, "geographic", "geo_product_corners", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 8,
             corners);
    hdf5_set_text(
        file, "geographic/map_projection", "projection_proj4_params",
        "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0");
    hdf5_put_grid(file, "image1/image_data", H5T_STD_U8LE, H5P_DEFAULT, ODIM_H, ODIM_W);
    hdf5_set_text(file, "image1", "image_geo_parameter", "PRECIP_[MM]");
    hdf5_set_text(file, "image1/calibration", "calibration_formulas", "GEO=0.01*PV+0.0");
    hdf5_set_number(file, "image1/calibration", "calibration_missing_data", 250);
    hdf5_set_number(file, "image1/calibration", "calibration_out_of_image", 7);
    return file;
}

#endif
