#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen radar convert: formats there and back, names with the time, outputs that are whole or absent; and
# ODIM files as h5py, pysteps and pyproj read them, GeoTIFFs as GDAL does, where those are installed.
. tests/cli/lib.bash
needs_weather
python=${PEERS:-$HOME/.cache/libgen-peers}/venv/bin/python
rain=$PWD/examples/rain.nc
mkdir "$tmp/odim" "$tmp/again" "$tmp/bad"

# ---- there and back
many=("$gen" radar convert "$rain" --precision 0.1 -o '%Y%m%d%H%M.h5')
(cd "$tmp/odim" && "${many[@]}")
check "one file a time" test "$(ls "$tmp/odim" | wc -l)" = 24
check "named by its time" test -f "$tmp/odim/202601010155.h5"
expect 0 "" "$gen" radar info --native --json "$tmp/odim/202601010000.h5"
check "the content is ODIM" grep -qF '"format":"ODIM HDF5"' "$tmp/stdout"
expect 0 "" "$gen" radar convert "$tmp/odim" --precision 0.1 -o "$tmp/back.nc"
if command -v ncdump >/dev/null; then
    values() { ncdump -v rain_rate,time "$1" | sed -n '/^data:/,$p' | cksum; }
    check "the same rain at the same times" test "$(values "$rain")" = "$(values "$tmp/back.nc")"
else
    skip "ncdump is not installed"
fi
(cd "$tmp/again" && "${many[@]}")
check "the same bytes" cmp -s "$tmp/odim/202601010100.h5" "$tmp/again/202601010100.h5"
expect 0 "" "$gen" radar convert "$tmp/odim/202601010100.h5" -o "$tmp/one.HDF"
expect 0 "" "$gen" radar convert "$tmp/odim/202601010100.h5" --format netcdf -o "$tmp/one"
expect 0 "" "$gen" radar info --native --json "$tmp/one"
check "--format goes before the name" grep -qF '"format":"netCDF"' "$tmp/stdout"
expect 2 "shows files whole" "$gen" radar info --native --crop 0,0,2,2 "$tmp/one"

# ---- refused
expect 2 "where to?" "$gen" radar convert "$rain"
expect 2 "tells no format" "$gen" radar convert "$rain" -o "$tmp/bad/x.png"
expect 2 "one time a file, and there are 24" "$gen" radar convert "$rain" -o "$tmp/bad/x.h5"
expect 2 "one time a file, and there are 24" "$gen" radar convert "$rain" -o "$tmp/bad/%Y%m%d.h5"
expect 2 "'%Q'" "$gen" radar convert "$rain" -o "$tmp/bad/%Q.h5"
expect 2 "exists" "$gen" radar convert "$tmp/odim/202601010100.h5" -o "$tmp/one.HDF"
expect 2 "one of the inputs" "$gen" radar convert "$tmp/odim" --force -o "$tmp/odim/%Y%m%d%H%M.h5"
expect 3 "cannot read" "$gen" radar convert "$tmp/nothing.h5" -o "$tmp/bad/x.nc"
(ulimit -f 8 && trap '' XFSZ && "$gen" radar convert "$tmp/odim/202601010100.h5" -o "$tmp/bad/x.h5" 2>"$tmp/stderr")
check "a full disk is exit 5" test $? = 5
check "nothing is left of what failed" no_litter "$tmp/bad"

# ---- GeoTIFF
expect 0 "" "$gen" radar convert "$tmp/odim/202601010100.h5" -o "$tmp/one.tif"
expect 0 "" "$gen" radar info --native --json "$tmp/one.tif"
check "the content is GeoTIFF" grep -qF '"format":"GeoTIFF"' "$tmp/stdout"
expect 0 "" "$gen" radar info --json "$tmp/odim/202601010100.h5"
sums() { grep -oE '"(times|missing|wet|min|max|mean|projection)[^,]*' "$1"; }
sums "$tmp/stdout" >"$tmp/before"
expect 0 "" "$gen" radar info --json "$tmp/one.tif"
sums "$tmp/stdout" >"$tmp/after"
check "the same rain at the same place and time" cmp "$tmp/before" "$tmp/after"
expect 2 "exists" "$gen" radar convert "$tmp/odim/202601010100.h5" -o "$tmp/one.tif"
(ulimit -f 8 && trap '' XFSZ && "$gen" radar convert "$tmp/odim/202601010100.h5" -o "$tmp/bad/x.tif" 2>"$tmp/stderr")
check "a full disk is exit 5, for GeoTIFF too" test $? = 5
check "nothing is left of what failed" no_litter "$tmp/bad"

# ---- .npy
expect 0 "" "$gen" radar convert "$tmp/odim" -o "$tmp/all.npy"
expect 0 "" "$gen" radar info --json "$tmp/odim"
sums "$tmp/stdout" >"$tmp/before"
expect 0 "" "$gen" radar info --json "$tmp/all.npy"
sums "$tmp/stdout" >"$tmp/after"
check "the same rain at the same place and times" cmp "$tmp/before" "$tmp/after"
expect 2 "exists" "$gen" radar convert "$tmp/odim" -o "$tmp/all.npy"
expect 2 "ends in .npy" "$gen" radar convert "$tmp/odim" --format npy -o "$tmp/all"
(ulimit -f 8 && trap '' XFSZ && "$gen" radar convert "$tmp/odim" -o "$tmp/bad/x.npy" 2>"$tmp/stderr")
check "a full disk is exit 5, for .npy too" test $? = 5
check "nothing is left of what failed" no_litter "$tmp/bad"

# ---- as others read it
find='from importlib.util import find_spec as f; import sys; sys.exit(not all(map(f, ("h5py", "netCDF4", "pyproj", "pysteps"))))'
if "$python" -c "$find" >/dev/null 2>&1; then
    "$python" tests/golden/odim_readback.py "$gen" "$tmp/again" 2>"$tmp/stderr" | grep -E '^(not )?ok ' || {
        cat "$tmp/stderr"
        not_ok "ODIM files as pysteps reads them"
    }
else
    skip "ODIM files as pysteps reads them: pysteps is not installed"
fi
find='from importlib.util import find_spec as f; import sys; sys.exit(not all(map(f, ("rasterio", "pyproj"))))'
if "$python" -c "$find" >/dev/null 2>&1; then
    "$python" tests/golden/geotiff_readback.py "$gen" "$tmp/geotiff" 2>"$tmp/stderr" | grep -E '^(not )?ok ' || {
        cat "$tmp/stderr"
        not_ok "GeoTIFFs as GDAL reads them"
    }
else
    skip "GeoTIFFs as GDAL reads them: rasterio is not installed"
fi
