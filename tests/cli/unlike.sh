#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen nowcast with a model that tells what it was trained on: input unlike that brings a warning, on
# stderr, in the file and in a feed's status, and never an error.
. tests/cli/lib.bash
needs_weather
mkdir "$tmp/out"
"$gen" model new --arch dgmr --config width=0.1 -o "$tmp/plain.safetensors"
# told NAME KEYS: a model that was trained on that.
told() {
    echo "{\"libgen.training\": {$2}}" >"$tmp/$1.json"
    "$gen" model convert "$tmp/plain.safetensors" --metadata "$tmp/$1.json" -q -o "$tmp/$1.safetensors"
}
# The example: 5 min, 1 km, up to 120 mm/h, 28 % of the measured cells wet.
told like '"steps_s":[300],"cell_m":[1000],"wet_share":[0,0.99],"rate_max":128,"units":"mm/h","leads":12,"crop":64'
told unlike '"steps_s":[600],"cell_m":[2000],"wet_share":[0,0.1],"rate_max":50,"units":"mm/h","leads":2,"crop":64'
told wrong '"steps_s":300'
run=("$gen" nowcast examples/rain.nc)

expect 0 "" "${run[@]}" -m "$tmp/like.safetensors" --lead 60 -o "$tmp/out/a.nc"
check "nothing is said of an input like the training" test ! -s "$tmp/stderr"
expect 0 "" "${run[@]}" -m "$tmp/plain.safetensors" --lead 120 -o "$tmp/out/b.nc"
check "nor by a model that tells nothing" test ! -s "$tmp/stderr"
expect 0 "" "${run[@]}" -m "$tmp/unlike.safetensors" --lead 15 --json -o "$tmp/out/c.nc"
said=("the frames are 5 min apart; the model was trained on steps of 10 min"
    "the cells are 1 km wide; the model was trained on cells of 2 km"
    "28.3 % of the measured cells have rain; the model was trained on windows of 0 to 10 %"
    "it rains up to 120 mm/h; the model was trained on at most 50 mm/h"
    "3 lead times; the model was trained on 2")
check "a line each" test "$(grep -c '^gen: warning: unlike the training: ' "$tmp/stderr")" = 5
cp "$tmp/stderr" "$tmp/warnings"
command -v ncdump >/dev/null && ncdump -h "$tmp/out/c.nc" >"$tmp/header"
for line in "${said[@]}"; do
    check "stderr: $line" grep -qxF "gen: warning: unlike the training: $line" "$tmp/warnings"
    check "JSON: $line" grep -qF "unlike the training: $line" "$tmp/stdout"
    [ -e "$tmp/header" ] && check "file: $line" grep -q ":comment = .*unlike the training: $line" "$tmp/header"
done
expect 0 "" "${run[@]}" -m "$tmp/unlike.safetensors" --lead 15 -q -o "$tmp/out/d.nc"
check "-q: nothing" test ! -s "$tmp/stderr"
expect 0 "not understood: libgen.training: " "${run[@]}" -m "$tmp/wrong.safetensors" --lead 15 -o "$tmp/out/e.nc"

# Without --lead no further than it was trained; other methods do not ask it.
expect 0 "" "${run[@]}" -m "$tmp/like.safetensors" -o "$tmp/out/f.nc"
check "as far as it was trained" grep -q '1 member of 12 steps, 60 min' "$tmp/stdout"
check "that is no reason to warn" test ! -s "$tmp/stderr"
mkdir "$tmp/models" && cp "$tmp/unlike.safetensors" "$tmp/models/nowcast.safetensors"
export GEN_MODELS=$tmp/models
expect 0 "" "${run[@]}" --method advection -o "$tmp/out/g.nc"
check "advection has no training" test ! -s "$tmp/stderr"

# A feed: in its status; and not when advection stood in for the model.
feed=("${run[@]}" --latest --now 2026-01-01T01:56 --lead 10 --status "$tmp/status")
expect 0 "unlike the training" "${feed[@]}" -o "$tmp/out/h.nc"
check "the status lists them" grep -q '"status":"ok".*"warnings":\["unlike the training: the frames' "$tmp/status"
GEN_TEST_MEMBER_SECONDS=1000 expect 0 "advection instead" "${feed[@]}" --deadline 20s -o "$tmp/out/i.nc"
if [ -e "$tmp/header" ]; then
    ncdump -h "$tmp/out/i.nc" >"$tmp/header"
    check "the file tells of the deadline only" \
        grep -q ':comment = "advection instead of dgmr, whose first member [^;]*"' "$tmp/header"
fi

# gen train writes what gen nowcast reads.
expect 0 "" "$gen" train nowcast --data examples/rain.nc -o "$tmp/run" --steps 1 --width 0.05 --leads 4 \
    --validate-crops 0 -q
trained=$tmp/run/model.safetensors
"$gen" model info --json "$trained" >"$tmp/stdout"
for key in 'steps_s":[300]' 'cell_m":[1000]' 'rate_max":120,' 'units":"mm/h"' 'leads":4,' 'crop":64,'; do
    check "the model of a training tells ${key%%\"*}" grep -qF "${key//\"/\\\"}" "$tmp/stdout"
done
expect 0 "" "${run[@]}" -m "$trained" -o "$tmp/out/k.nc"
check "rain that it was trained on is like it" test ! -s "$tmp/stderr"
check "as far as that went" grep -q '1 member of 4 steps' "$tmp/stdout"
