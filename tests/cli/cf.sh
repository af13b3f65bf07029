#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a CF checker (the IOOS compliance checker) says of files that gen writes, in many projections:
# nothing. tests/cf_checker.sh installs it; skipped where there is none.
#
# Left out are projections on which the checker itself is wrong: for Mercator, sinusoidal and
# cylindrical equal area it asks for single letters as attributes, for oblique Mercator for an
# `azimuth` that CF does not have, for a geostationary view for metres where CF has radians. Nor does
# it know that cell_methods may name a standard name: of these only its errors count.
. tests/cli/lib.bash
needs_weather
checker=
for c in "${CF_CHECKER:-}" "$B/cf-checker/bin/compliance-checker" \
    "${PEERS:-$HOME/.cache/libgen-peers}/venv/bin/compliance-checker" "$(command -v compliance-checker)"; do
    [ -x "$c" ] && checker=$c && break
done
[ -n "$checker" ] || { skip "CF checker: compliance-checker is not installed"; exit 0; }
mkdir "$tmp/out"
n=0

made() { # NAME COMMAND...: the command makes $tmp/out/N.nc
    n=$((n + 1))
    "${@:2}" -o "$tmp/out/$n.nc" >"$tmp/stdout" 2>&1 || { cat "$tmp/stdout"; not_ok "$1"; }
}

made "simulated rain" "$gen" radar simulate --frames 4 --height 32 --width 40
cp "$tmp/out/1.nc" "$tmp/rain.nc"
made "a packed forecast" "$gen" nowcast "$tmp/rain.nc" --lead 15 --members 2
made "a forecast of floats" "$gen" nowcast "$tmp/rain.nc" --lead 15 --encoding float

made "a forecast with latitudes" "$gen" nowcast "$tmp/rain.nc" --lead 15 --latitudes
made "products of an ensemble" "$gen" nowcast "$tmp/rain.nc" --method steps --lead 30 --members 3 --exceed 1,5 \
    --mean --percentiles 10,90 --accumulate 15
[ -n "$(command -v ncgen)" ] && ncgen -o "$tmp/depth.nc" - <<'EOF'
netcdf depth {
dimensions: y = 2; x = 3;
variables: double valid_time, start_time, y(y), x(x); short precipitation(y, x); byte proj;
valid_time:standard_name = "time"; valid_time:units = "seconds since 1970-01-01 00:00:00 UTC";
start_time:units = "seconds since 1970-01-01 00:00:00 UTC"; x:units = "km"; y:units = "km";
precipitation:units = "kg m-2"; precipitation:scale_factor = 0.05; precipitation:grid_mapping = "proj";
precipitation:_FillValue = -1s; proj:grid_mapping_name = "albers_conical_equal_area";
proj:standard_parallel = -18., -36.; proj:longitude_of_central_meridian = 144.75;
proj:latitude_of_projection_origin = -37.8; proj:false_easting = 0.; proj:false_northing = 0.;
proj:semi_major_axis = 6378137.; proj:inverse_flattening = 298.257222101;
data: valid_time = 600; start_time = 0; y = 1, 0; x = 0, 1, 2; precipitation = 0, 2, 3, -1, 20, 4;
}
EOF
[ -e "$tmp/depth.nc" ] && made "a depth as a mean rate" "$gen" radar convert "$tmp/depth.nc"

# Files of which only a PROJ string is known.
in_projection() { # UNITS PROJ
    ncgen -o "$tmp/in.nc" - <<EOF
netcdf in {
dimensions: time = 2; y = 3; x = 3;
variables: double time(time), y(y), x(x); float rain_rate(time, y, x); int crs;
time:units = "seconds since 1970-01-01"; x:units = "$1"; y:units = "$1"; rain_rate:units = "mm h-1";
rain_rate:grid_mapping = "crs"; crs:proj4 = "$2";
data: time = 0, 300; y = 2, 1, 0; x = 0, 1, 2; rain_rate = 0,1,2,3,4,5,6,7,8, 0,1,2,3,4,5,6,7,8;
}
EOF
    made "$2" "$gen" nowcast "$tmp/in.nc" --method persistence --lead 5
}
earth='+ellps=WGS84 +units=m +no_defs'
if command -v ncgen >/dev/null; then
    for p in '+proj=stere +lat_0=90 +lon_0=25E +lat_ts=60 +a=6371288' "+proj=stere +lat_0=-90 +k_0=0.97 $earth" \
        "+proj=stere +lat_0=52 +lon_0=5 $earth" '+proj=lcc +lat_1=25 +lat_0=25 +lon_0=-95 +R=6371200' \
        "+proj=lcc +lat_1=49 +lat_2=44 +lat_0=46.5 +lon_0=3 $earth" "+proj=laea +lat_0=55 +lon_0=10 $earth" \
        '+proj=utm +zone=33 +datum=WGS84' "+proj=aea +lat_1=-18 +lat_2=-36 +lat_0=-37 +lon_0=144 $earth" \
        "+proj=aeqd +lat_0=52 +lon_0=5 $earth" "+proj=ortho +lat_0=52 +lon_0=5 +R=6371000" \
        '+proj=nsper +h=3000000 +lat_0=40 +lon_0=10 +R=6371000' \
        '+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996 +ellps=airy +towgs84=446.448,-125.157,542.06,0.15,0.247,0.842,-20.489'
    do
        in_projection m "$p"
    done
    in_projection degrees '+proj=longlat +datum=WGS84'
    in_projection degrees '+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18 +R=6371229'
else
    skip "CF 1.8 in many projections: ncgen is not installed"
fi

"$checker" --test=cf:1.8 --criteria strict --skip-checks check_cell_methods:M "$tmp"/out/*.nc >"$tmp/report" 2>&1
passed=$(grep -c 'All tests passed' "$tmp/report")
[ "$passed" = "$n" ] || cat "$tmp/report"
check "a CF 1.8 checker has nothing to say of $n files" test "$passed" = "$n"
