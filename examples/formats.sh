#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# formats.png: files of five weather services as they distribute them, on one page.
#     examples/formats.sh build/gen FOLDER formats.png
# FOLDER holds the files by the names below, as in the repositories pySTEPS/pysteps-data and
# wradlib/wradlib-data. Data: KNMI (CC BY 4.0), EUMETNET OPERA (CC BY 4.0), Finnish Meteorological
# Institute (CC BY 4.0), Deutscher Wetterdienst (open data), NOAA/NSSL MRMS (public domain).
set -eu
gen=$(realpath "$1") data=$(realpath "$2") out=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$data" "$work/native" # so that the picture, which tells its command, tells no other folder
(
    cd "$work"
    "$gen" radar plot --each --columns 3 --size 300 -o formats.png \
        native/knmi_hdf5/RAD_NL25_RAP_5min_201008260735.h5 --label "KNMI, HDF5" \
        native/opera_hdf5_odim/T_PABV21_C_EUOC_20241126010000.hdf --label "EUMETNET OPERA, ODIM" \
        native/radolan/raa01-rx_10000-1408102050-dwd---bin.gz --label "DWD, RADOLAN" \
        native/fmi_pgm/201609281500_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz --label "FMI, PGM" \
        native/fmi_geotiff/201609281445_FINUTM.tif --label "FMI, GeoTIFF" \
        native/mrms_grib2/PrecipRate_00.00_20190610-000000.grib2 --label "NOAA MRMS, GRIB 2"
)
cp "$work/formats.png" "$out"
