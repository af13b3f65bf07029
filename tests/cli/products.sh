#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Products of ensembles: gen nowcast with them, gen radar products on files of ours and of pysteps,
# series at points, exit codes, outputs that are whole or absent, what a CF checker says.
. tests/cli/lib.bash
needs_weather
mkdir "$tmp/out"
rain=examples/rain.nc
ours=$tmp/out/ours.nc
theirs=tests/golden/forecasts/pysteps.nc
all=(--exceed 1,5 --mean --matched-mean --percentiles 10,50,90 --accumulate 10)

# The different numbers that a variable holds.
holds() { # FILE VARIABLE
    ncdump -v "$2" "$1" | awk -v name="$2" '$1 == name && $2 == "=" { on = 1 } on { print } /;/ { on = 0 }' | tr -d ' ;\n' | sed 's/^.*=//' | tr ',' '\n' | sort -u | tr '\n' ' '
}
values() { ncdump "$1" | sed -n '/^data:/,$p' | cksum; }

# ---- with a forecast
expect 0 "" "$gen" nowcast $rain --lead 30 --members 3 --method persistence "${all[@]}" -o "$ours"
if command -v ncdump >/dev/null; then
    ncdump -h "$ours" >"$tmp/header"
    for word in 'rain_rate(realization, time, y, x)' 'rain_amount(realization, accumulation_time, y, x)' \
        'accumulation_time = 3 ;' 'accumulation_time:bounds = "accumulation_time_bnds"' \
        'byte probability_of_rain_rate_above_threshold(threshold, time, y, x)' \
        'byte probability_of_rain_amount_above_threshold(threshold_amount, accumulation_time, y, x)' \
        'short rain_rate_percentile(percentile, time, y, x)' 'short rain_amount_mean(accumulation_time, y, x)' \
        'short rain_rate_matched_mean(time, y, x)' 'rain_rate_mean:cell_methods = "realization: mean"' \
        'rain_amount:standard_name = "lwe_thickness_of_precipitation_amount"'; do
        check "the file has $word" grep -qF "$word" "$tmp/header"
    done
    check "members that are alike are certain" \
        test "$(holds "$ours" probability_of_rain_rate_above_threshold)" = "-100 100 _ "
    check "windows end after 10, 20, 30 minutes" test "$(holds "$ours" accumulation_period)" = "10 20 30 "
    expect 0 "" "$gen" nowcast $rain --lead 30 --members 3 --method persistence --members-out no "${all[@]}" \
        -o "$tmp/out/no.nc"
    ncdump -h "$tmp/out/no.nc" >"$tmp/header"
    check "no members" test "$(grep -c 'realization' "$tmp/header")" = "$(grep -c 'cell_methods.*realization' "$tmp/header")"
    check "products without them" grep -q 'rain_rate_mean(time, y, x)' "$tmp/header"
    expect 0 "" "$gen" radar products "$ours" --members-out no "${all[@]}" -o "$tmp/out/again.nc"
    check "the same products from the file" \
        test "$(values "$tmp/out/again.nc")" = "$(values "$tmp/out/no.nc")"
else
    skip "ncdump is not installed"
fi
no_litter "$tmp/out" ours.nc $(command -v ncdump >/dev/null && echo no.nc again.nc)
expect 2 "--members-out no: what then?" "$gen" nowcast $rain --members-out no -o "$tmp/x.nc"

# ---- maps
expect 0 "" "$gen" nowcast $rain --lead 30 --exceed 0.5,5 --mean --accumulate 10 --plot "$tmp/maps" -o "$tmp/plot.nc"
for name in probability_0.5mmh probability_5mmh amount overview lead_030min; do
    check "a map $name.png" test "$(head -c 4 "$tmp/maps/$name.png" | tail -c 3)" = PNG
done
rm "$tmp/maps/overview.png" "$tmp"/maps/lead_* "$tmp/plot.nc"
expect 2 "probability_0.5mmh.png: exists" "$gen" nowcast $rain --lead 30 --exceed 0.5 --plot "$tmp/maps" -o "$tmp/plot.nc"
check "nothing where a map is in the way" test ! -e "$tmp/plot.nc"

# ---- of files of others
expect 0 "" "$gen" radar products $theirs "${all[@]}" -o "$tmp/theirs.nc"
expect 0 "" "$gen" radar products $theirs --json --mean --encoding float -o "$tmp/theirs_float.nc"
check "a summary in JSON" grep -q '"lead_steps":4,"members":3' "$tmp/stdout"
expect 2 "exists" "$gen" radar products $theirs --mean -o "$tmp/theirs.nc"
expect 0 "" "$gen" radar products $theirs --mean --force -o "$tmp/theirs.nc"
expect 0 "" "$gen" radar products tests/golden/forecasts/single.nc --mean -o "$tmp/single.nc"
expect 0 "" "$gen" radar products tests/golden/forecasts/depth.nc --interval 5 --mean -o "$tmp/depth.nc"
expect 3 "give the interval" "$gen" radar products tests/golden/forecasts/depth.nc --mean -o "$tmp/depth2.nc"

# ---- points
run=("$gen" radar products $theirs --exceed 0.5,4)
expect 0 "" "${run[@]}" --at-point 52,5 --at-point 52.018,5.03
check "a heading and two points of four lead times" test "$(wc -l <"$tmp/stdout")" = 9
check "the columns" test "$(head -1 "$tmp/stdout")" = \
    "latitude,longitude,lead_minutes,time,member_0,member_1,member_2,mean,probability_0.5,probability_4"
check "lead times in minutes and UTC" grep -q '^52,5,20,2026-03-02T00:10:00Z,' "$tmp/stdout"
expect 0 "" "${run[@]}" --at-point 52,5 --point-output "$tmp/p.csv"
check "nothing on stdout" test ! -s "$tmp/stdout"
expect 0 "" "${run[@]}" --at-point 52,5 --point-output "$tmp/p.json"
check "the same numbers in JSON" grep -q '"lead_minutes":5,"time":"2026-03-01T23:55:00Z","members":\[' "$tmp/p.json"
expect 0 "" "${run[@]}" --at-point 52,5 --json
check "with --json they are in the object" grep -q '"points":\[{"latitude":52,"longitude":5,"cell":{"row":2,"column":3' "$tmp/stdout"
check "and no NaN" test "$(grep -ciE 'nan|inf' "$tmp/stdout")" = 0
expect 0 "" "$gen" nowcast $rain --lead 10 --at-point 52,5 -o "$tmp/n.nc"
check "a nowcast has them too" grep -q '^52,5,5,' "$tmp/stdout"
expect 2 "exists" "${run[@]}" --at-point 52,5 --point-output "$tmp/p.csv"
expect 2 "outside the grid, whose cells lie from 51.9" "${run[@]}" --at-point 48,5
expect 2 "expected latitude,longitude" "${run[@]}" --at-point 52
expect 2 "expected latitude,longitude" "${run[@]}" --at-point 152,5
expect 2 "--at-point" "${run[@]}" --at-point here
expect 2 "expected a name in .csv or .json" "${run[@]}" --at-point 52,5 --point-output "$tmp/p.txt"
expect 2 "no points" "${run[@]}" --point-output "$tmp/q.csv" -o "$tmp/q.nc"
expect 2 "the grid has no place" "$gen" radar products tests/golden/forecasts/single.nc --at-point 52,5

# ---- options that do not fit
for bad in "--exceed 5,1" "--exceed 0" "--exceed -1" "--exceed nan" "--exceed 1,,2" "--exceed x" \
    "--percentiles 101" "--percentiles 50,50" "--accumulate -5" "--exceed-sum 3" "--members-out maybe"; do
    expect 2 "${bad%% *}" "$gen" radar products $theirs $bad -o "$tmp/bad.nc"
done
expect 2 "a multiple of the lead times' step, 5 min" "$gen" radar products $theirs --accumulate 7 -o "$tmp/bad.nc"
expect 2 "ends at 20 min" "$gen" radar products $theirs --accumulate 60 -o "$tmp/bad.nc"
expect 2 "a multiple of the lead times' step" "$gen" nowcast $rain --lead 30 --accumulate 7 -o "$tmp/bad.nc"
expect 2 "which?" "$gen" radar products $theirs -o "$tmp/bad.nc"
expect 2 "where to?" "$gen" radar products $theirs --mean
expect 2 "" "$gen" radar products --mean -o "$tmp/bad.nc"
expect 2 "is one of the inputs" "$gen" radar products "$ours" --mean --force -o "$ours"

# ---- files that are damaged, or no forecasts
head -c 9000 $theirs >"$tmp/cut.nc"
expect 3 "cut.nc" "$gen" radar products "$tmp/cut.nc" --mean -o "$tmp/bad.nc"
echo nonsense >"$tmp/text.nc"
expect 3 "text.nc" "$gen" radar products "$tmp/text.nc" --mean -o "$tmp/bad.nc"
expect 3 "cannot" "$gen" radar products "$tmp/absent.nc" --mean -o "$tmp/bad.nc"
expect 0 "" "$gen" radar products $rain --mean -o "$tmp/one.nc" # no realization: one member
check "nothing where it failed" test ! -e "$tmp/bad.nc"

# ---- a disk that is full
if (ulimit -f 40; trap '' XFSZ; "$gen" radar products "$ours" "${all[@]}" -o "$tmp/out/full.nc") 2>"$tmp/stderr"; then
    not_ok "a limit on file sizes"
else
    check "a full disk is told" grep -q 'full.nc' "$tmp/stderr"
fi
check "and leaves nothing" test -z "$(find "$tmp/out" -name '*full*')"

# ---- CF
checker=
for c in "${CF_CHECKER:-}" "$B/cf-checker/bin/compliance-checker" \
    "${PEERS:-$HOME/.cache/libgen-peers}/venv/bin/compliance-checker" "$(command -v compliance-checker)"; do
    [ -z "$checker" ] && [ -x "$c" ] && checker=$c
done
if [ -n "$checker" ]; then
    "$checker" --test=cf:1.8 "$ours" "$tmp/theirs.nc" >"$tmp/cf" 2>&1
    check "a CF 1.8 checker finds no error" test "$(grep -c Errors "$tmp/cf")" = 0
    check "and has looked" grep -q 'ours.nc' "$tmp/cf"
else
    skip "CF checker: compliance-checker is not installed"
fi
