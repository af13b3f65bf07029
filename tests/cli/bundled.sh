#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The model that comes with the program: where it is looked for, that it is the default of gen
# nowcast where there is one, and what stands in for it.
. tests/cli/lib.bash
needs_weather
mkdir "$tmp/out"
rain=examples/rain.nc

# ---- none
expect 0 "" "$gen" info
check "info says where it looked" grep -qxF "bundled models   none in $tmp/no-models" "$tmp/stdout"
expect 0 "" "$gen" info --json
check "info --json too" grep -qF '"bundled_models":{"nowcast":null}' "$tmp/stdout"
expect 4 "there is no bundled nowcast.safetensors in $tmp/no-models" \
    "$gen" nowcast $rain --method dgmr -o "$tmp/out/a.nc"
(unset GEN_MODELS && "$gen" info) >"$tmp/stdout"
check "the source tree is looked into, or its model found" grep -q '^bundled models .*/weather/models' "$tmp/stdout"
expect 0 "" "$gen" nowcast $rain --lead 10 --json -o "$tmp/out/a.nc"
check "the default is advection" grep -q '"method":"advection".*"model":null,"comment":null' "$tmp/stdout"

# ---- one
export GEN_MODELS=$tmp/models
mkdir "$tmp/models"
model=$tmp/models/nowcast.safetensors
"$gen" model new --arch dgmr --config width=0.1 --companion dgmr-discriminators:width=0.1 --bf16 -o "$model"
expect 0 "" "$gen" info
check "info names it" grep -qxF "bundled models   nowcast ($model)" "$tmp/stdout"
expect 0 "" "$gen" nowcast $rain --lead 10 --members 2 --json -o "$tmp/out/b.nc"
check "it is the default" grep -qF '"method":"dgmr"' "$tmp/stdout"
check "its path is told" grep -qF "\"model\":\"$model\"" "$tmp/stdout"
expect 0 "" "$gen" nowcast $rain --lead 10 --members 2 --method dgmr -o "$tmp/out/c.nc"
expect 0 "" "$gen" nowcast $rain --lead 10 --members 2 -m "$model" -o "$tmp/out/d.nc"
if command -v ncdump >/dev/null; then
    values() { ncdump -v rain_rate "$1" | sed -n '/^data:/,$p' | cksum; }
    check "named or not, the same forecast" test "$(values "$tmp/out/b.nc")" = "$(values "$tmp/out/c.nc")"
    check "by -m alone too" test "$(values "$tmp/out/b.nc")" = "$(values "$tmp/out/d.nc")"
    sum=$(sha256sum "$model" | cut -d' ' -f1)
    check "the file names it" grep -q "method dgmr, .*model dgmr, sha256 $sum" <(ncdump -h "$tmp/out/b.nc")
else
    skip "ncdump is not installed"
fi
for method in advection persistence steps; do
    expect 0 "" "$gen" nowcast $rain --lead 10 --method $method --json --force -o "$tmp/out/e.nc"
    check "--method $method stays" grep -qF "\"method\":\"$method\"" "$tmp/stdout"
done
expect 2 "has no model" "$gen" nowcast $rain --method steps -m "$model" -o "$tmp/out/f.nc"

# Too few frames for it, which nobody asked for: advection, said in the file.
"$gen" radar simulate --frames 3 --height 64 --width 64 -o "$tmp/three.nc"
few="advection instead of dgmr: nowcast: dgmr needs 4 frames, found 3"
expect 0 "$few" "$gen" nowcast "$tmp/three.nc" --lead 10 --members 5 -o "$tmp/out/f.nc"
check "one member" grep -q '1 member of 2 steps.*advection' "$tmp/stdout"
if command -v ncdump >/dev/null; then
    ncdump -h "$tmp/out/f.nc" >"$tmp/header"
    check "the file says so" grep -qF ":comment = \"$few\"" "$tmp/header"
    check "and names no model" test -z "$(grep sha256 "$tmp/header")"
fi
expect 3 "dgmr needs 4 frames" "$gen" nowcast "$tmp/three.nc" --method dgmr -o "$tmp/out/g.nc"
"$gen" radar simulate --frames 1 --height 64 --width 64 -o "$tmp/one.nc"
expect 3 "holds one frame" "$gen" nowcast "$tmp/one.nc" -o "$tmp/out/g.nc"
feed=(--latest --now 2026-01-01T00:12 --status "$tmp/status")
expect 0 "$few" "$gen" nowcast "$tmp/three.nc" "${feed[@]}" --lead 10 -o "$tmp/out/g.nc"
check "the status of a feed says so" grep -qF '"status":"degraded","exit_code":0,"message":"advection instead' "$tmp/status"
check "method planned and used" grep -qF '"method_planned":"dgmr","method_used":"advection"' "$tmp/status"

# A damaged one is an error, not a reason for another method.
head -c 100000 "$model" >"$tmp/cut" && mv "$tmp/cut" "$model"
expect 4 "nowcast.safetensors" "$gen" nowcast $rain -o "$tmp/out/h.nc"
check "nothing is left behind" no_litter "$tmp/out" a.nc b.nc c.nc d.nc e.nc f.nc g.nc .g.nc.lock

# ---- the real one
names=("the bundled model is one of ours" "it makes a forecast")
if needs_bundled "${names[@]}"; then
    unset GEN_MODELS
    "$gen" model check weather/models/nowcast.safetensors >/dev/null
    check "${names[0]}" test $? = 0
    expect 0 "" "$gen" nowcast $rain --members 2 --json -o "$tmp/real.nc"
    check "${names[1]}" grep -qF '"method":"dgmr"' "$tmp/stdout"
fi
