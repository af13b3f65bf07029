#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen metrics nowcast on rain of our own: the table, the report, charts, gates, and what does not fit.
. tests/cli/lib.bash
needs_weather
rain=examples/rain.nc
at=2026-01-01T01:00
expect 0 "" "$gen" nowcast $rain --at $at --method steps --members 4 --lead 15 -o "$tmp/a.nc"
expect 0 "" "$gen" nowcast $rain --at $at --lead 15 --encoding float -o "$tmp/one.nc"
expect 0 "" "$gen" nowcast $rain --lead 15 -o "$tmp/future.nc"

expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/a.nc"
check "a row a lead time, and one for all" test "$(grep -cE '^ +(5|10|15|all) ' "$tmp/stdout")" = 4
cp "$tmp/stdout" "$tmp/table"
expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" --quiet
check "--quiet leaves the table" cmp -s "$tmp/stdout" "$tmp/table"

# What is said of observations is not said of forecasts: their units, the pattern of their names.
mean_of() { grep -oE "\"$1_mean\":\[[^]]*" "$tmp/stdout" | head -1; }
expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/one.nc" --json
forecast=$(mean_of forecast) observed=$(mean_of observed)
expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/one.nc" --json --units mm --interval 30
check "forecasts keep their own units" test "$(mean_of forecast)" = "$forecast"
check "observations have those that are given" test "$(mean_of observed)" != "$observed"

# Each forecast finds its own among the files of observations (here: a forecast that meets itself).
expect 0 "" "$gen" metrics nowcast --obs $rain --obs "$tmp/future.nc" "$tmp/one.nc" "$tmp/future.nc" --json
check "both are scored at all lead times" grep -qF '"unobserved":[0,0,0],"protocol":' "$tmp/stdout"
check "two cases" grep -qF '"cases":2' "$tmp/stdout"
mkdir "$tmp/forecasts"
cp "$tmp/one.nc" "$tmp/forecasts/one.nc"
expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/forecasts" --pattern '%Y%m%d.nc'

expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" "$tmp/a.nc" --baselines --steps 3 --json \
    --crop 64,64,128,128 --thresholds 0.5,5 --event at-least --plot "$tmp/charts" -o "$tmp/scores.json"
for word in '{"lead_minutes":[5,10,15],' '"cases":2' '"event":"at-least"' '"crop":[64,64,128,128]' \
    '"persistence":{' '"advection":{' '"steps":{' '"threshold":0.5' '"crps_fair":[' '"roc":{' '"fss":[' \
    '"rank_histogram":[' '"economic_value":{' '"wavelength_cells":['; do
    check "the report says $word" grep -qF "$word" "$tmp/stdout"
done
check "and holds no NaN" test "$(grep -ciE 'nan|inf' "$tmp/stdout")" = 0
check "-o holds the same" cmp -s "$tmp/stdout" "$tmp/scores.json"
for name in scores spectra probabilities; do
    check "$name.png is a PNG" test "$(head -c 4 "$tmp/charts/$name.png" | tail -c 3)" = PNG
done
expect 2 "exists" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" -o "$tmp/scores.json"
expect 2 "exists" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" --plot "$tmp/charts"

# The CRPS of one member is its mean absolute error; advection is scored by both ways alike.
expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/one.nc" --baselines --json
crps=$(grep -oE '"crps":\[[^]]*' "$tmp/stdout" | sort | uniq -c | awk '$1 > 1' | wc -l)
check "advection as a file and as a baseline" test "$crps" -ge 1

# Gates.
expect 0 "" "$gen" metrics nowcast --obs $rain "$tmp/one.nc" --fail-over 100
"$gen" metrics nowcast --obs $rain "$tmp/one.nc" --fail-over 0.0001 >"$tmp/stdout" 2>"$tmp/stderr"
check "a CRPS above the gate is exit 8" test $? = 8

# What does not fit.
expect 2 "give --obs" "$gen" metrics nowcast "$tmp/a.nc"
expect 3 "no frame from" "$gen" metrics nowcast --obs $rain "$tmp/future.nc"
expect 3 "members, but the forecasts before it" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" "$tmp/one.nc"
expect 2 "expected rows and columns within" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" --crop 250,250,64,64
expect 2 "--thresholds" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" --thresholds 1,x
expect 2 "--windows" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" --windows 2.5
expect 3 "nothing.nc" "$gen" metrics nowcast --obs $rain "$tmp/nothing.nc"
head -c 2000 "$tmp/a.nc" >"$tmp/cut.nc"
expect 3 "cut.nc" "$gen" metrics nowcast --obs $rain "$tmp/cut.nc"
expect 3 "cut.nc" "$gen" metrics nowcast --obs "$tmp/cut.nc" "$tmp/a.nc"
touch "$tmp/nofolder"
expect 2 "is there and no folder" "$gen" metrics nowcast --obs $rain "$tmp/a.nc" --plot "$tmp/nofolder"
expect 3 "missing-cut.nc" "$gen" metrics nowcast --obs $rain "$tmp/missing-cut.nc" --plot "$tmp/newfolder"
check "a folder of no use does not stay" test ! -e "$tmp/newfolder"
