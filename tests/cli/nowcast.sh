#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen radar and gen nowcast on rain of our own: the forecast as others read it, pictures, exit codes,
# and outputs that are whole or absent.
. tests/cli/lib.bash
needs_weather
mkdir "$tmp/out" "$tmp/many"
rain=examples/rain.nc

# ---- radar
expect 0 "" "$gen" radar info --json $rain
check "info is one JSON object without NaN" grep -qE '^\{.*\}$' "$tmp/stdout"
for word in '"frames":24' '"step_seconds":300' '"2026-01-01T00:05:00Z"' '"units":"mm/h"' '"height":256' \
    '"grid_mapping_name":"azimuthal_equidistant"' '"min":0' '"missing_share":0.25'; do
    check "info says $word" grep -qF "$word" "$tmp/stdout"
done
expect 0 "" "$gen" radar simulate --seed 7 --range 125 --precision 0.1 -o "$tmp/rain.nc"
if command -v ncdump >/dev/null; then
    values() { ncdump -v rain_rate "$1" | sed -n '/^data:/,$p' | cksum; }
    check "the example can be made again" test "$(values $rain)" = "$(values "$tmp/rain.nc")"
else
    skip "ncdump is not installed"
fi
expect 2 "where to?" "$gen" radar simulate
expect 2 "exists" "$gen" radar simulate -o "$tmp/rain.nc"
expect 0 "" "$gen" radar plot $rain --frames 3 -o "$tmp/rain.png"
check "the picture is a PNG" test "$(head -c 4 "$tmp/rain.png" | tail -c 3)" = PNG

# ---- a forecast
run=("$gen" nowcast $rain --lead 30)
expect 0 "" "${run[@]}" -t 1 -o "$tmp/out/a.nc"
expect 0 "" "${run[@]}" -t 2 -o "$tmp/out/b.nc"
expect 0 "" "${run[@]}" --json --method persistence --members 2 -o "$tmp/out/c.nc"
check "a summary in JSON" grep -q '"members":2.*"lead_steps":6\|"lead_steps":6.*"members":2' "$tmp/stdout"
expect 0 "" "${run[@]}" --encoding float -o "$tmp/out/d.nc"
if command -v ncdump >/dev/null; then
    check "same bytes at one and two threads" \
        test "$(values "$tmp/out/a.nc")" = "$(values "$tmp/out/b.nc")"
    ncdump -h "$tmp/out/c.nc" >"$tmp/header"
    for word in 'realization = UNLIMITED ; // (2 currently)' 'rain_rate(realization, time, y, x)' ':Conventions = "CF-1.8"' \
        'rain_rate:units = "mm h-1"' 'rain_rate:grid_mapping = "crs"' \
        'crs:latitude_of_projection_origin = 52' 'standard_name = "forecast_reference_time"' \
        'standard_name = "forecast_period"' 'method persistence' ':history = '; do
        check "the file says $word" grep -qF "$word" "$tmp/header"
    done
fi
expect 0 "" "$gen" radar info --json "$tmp/out/a.nc"
check "the forecast follows the newest frame" grep -qF '["2026-01-01T02:00:00Z"' "$tmp/stdout"

# Frames in files of their own, in any order, by folder.
for start in 00:15 00:00 00:30; do
    "$gen" radar simulate --frames 3 --height 64 --width 64 --start "2026-01-01T$start" \
        -o "$tmp/many/$start.nc"
done
expect 0 "" "$gen" nowcast "$tmp/many" --lead 10 --at 2026-01-01T00:25 -o "$tmp/many.nc"
rm "$tmp/many/00:15.nc"
expect 3 "frames are missing between" "$gen" radar info "$tmp/many"
expect 0 "" "$gen" radar info --fill-gap missing "$tmp/many"
expect 3 "is there twice" "$gen" radar info "$tmp/many" "$tmp/many/00:00.nc"
rm -r "$tmp/many"

# ---- pictures
expect 0 "" "${run[@]}" --at 2026-01-01T01:00 --plot "$tmp/plots" -o "$tmp/p.nc"
check "a map a lead time and an overview" test "$(ls "$tmp/plots" | wc -l)" = 7
expect 2 "exists" "${run[@]}" --at 2026-01-01T01:00 --plot "$tmp/plots" -o "$tmp/q.nc"
check "nothing was written beside pictures that exist" test ! -e "$tmp/q.nc"

# ---- mistakes
expect 2 "where to?" "${run[@]}"
expect 2 "not stdout" "${run[@]}" -o -
expect 2 "exists" "${run[@]}" -o "$tmp/out/a.nc"
expect 2 "multiple of the step of the files, 5 min" "$gen" nowcast $rain --lead 7 -o "$tmp/x.nc"
expect 2 "expected UTC like" "$gen" nowcast $rain --at noon -o "$tmp/x.nc"
expect 3 "no frame at 2026-01-01T01:03:00Z" "$gen" nowcast $rain --at 2026-01-01T01:03 -o "$tmp/x.nc"
expect 3 "no frame until 2001-01-01T01:03:00Z" "$gen" nowcast $rain --at 2001-01-01T01:03 -o "$tmp/x.nc"
expect 3 "cannot read '$tmp/none.nc'" "$gen" nowcast "$tmp/none.nc" -o "$tmp/x.nc"
expect 3 "unknown format" "$gen" nowcast Makefile -o "$tmp/x.nc"
expect 7 "runs on the CPU" "$gen" nowcast $rain --device cuda -o "$tmp/x.nc"
head -c 100000 $rain >"$tmp/cut.nc"
expect 3 "cut.nc" "$gen" nowcast "$tmp/cut.nc" -o "$tmp/x.nc"
: >"$tmp/empty.nc"
expect 3 "is empty" "$gen" nowcast "$tmp/empty.nc" -o "$tmp/x.nc"
expect 3 "folder 'cli' holds no radar file" "$gen" nowcast cli -o "$tmp/x.nc"
check "no output of a failure" test ! -e "$tmp/x.nc"

# A limit on file size stands for a full disk: no part of a file is left.
mkdir "$tmp/full"
(
    ulimit -f 16
    trap '' XFSZ
    "$gen" nowcast $rain -o "$tmp/full/a.nc" >/dev/null 2>"$tmp/stderr"
)
code=$?
check "full disk: exit 5 or 1, found $code" test $code = 5 -o $code = 1
check "full disk: one sentence" test "$(grep -c '^gen: ' "$tmp/stderr")" = 1
check "full disk: nothing is left behind" no_litter "$tmp/full"
check "outputs are whole, nothing else is there" no_litter "$tmp/out" a.nc b.nc c.nc d.nc
