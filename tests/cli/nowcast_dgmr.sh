#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen nowcast --method dgmr: members by a model; the same bytes for the same seed at any number of
# threads; a model says itself that it is in the rain's coordinates; a model that is none, is another
# network or is damaged is rejected, and no file is left.
. tests/cli/lib.bash
needs_weather

mkdir "$tmp/out"
expect 0 "" "$gen" model new --arch dgmr --config width=0.1 --seed 3 -o "$tmp/m.safetensors"
run=("$gen" nowcast examples/rain.nc --method dgmr --lead 15)
expect 0 "" "${run[@]}" -m "$tmp/m.safetensors" --members 2 --seed 1 -o "$tmp/out/a.nc"
expect 0 "" "${run[@]}" -m "$tmp/m.safetensors" --members 2 --seed 1 -t 1 -o "$tmp/out/b.nc"
expect 0 "" "${run[@]}" -m "$tmp/m.safetensors" --members 2 --seed 2 -o "$tmp/out/c.nc"
expect 0 "" "$gen" model new --arch dgmr --config width=0.1,coordinates=rain --seed 3 -o "$tmp/rain.safetensors"
check "the model tells its coordinates" grep -q 'coordinates.*rain' <("$gen" model info "$tmp/rain.safetensors" --json)
expect 0 "" "${run[@]}" -m "$tmp/rain.safetensors" --members 2 --seed 1 -o "$tmp/out/r.nc"
expect 0 "" "${run[@]}" -m "$tmp/rain.safetensors" --members 2 --seed 1 -t 1 -o "$tmp/out/s.nc"
if command -v ncdump >/dev/null; then
    values() { ncdump -v rain_rate "$1" | sed -n '/^data:/,$p' | cksum; }
    check "same seed, same rain" test "$(values "$tmp/out/a.nc")" = "$(values "$tmp/out/b.nc")"
    check "other seed, other rain" test "$(values "$tmp/out/a.nc")" != "$(values "$tmp/out/c.nc")"
    check "rain's coordinates, other rain" test "$(values "$tmp/out/a.nc")" != "$(values "$tmp/out/r.nc")"
    check "same rain at one thread" test "$(values "$tmp/out/r.nc")" = "$(values "$tmp/out/s.nc")"
    sum=$(sha256sum "$tmp/m.safetensors" | cut -d' ' -f1)
    check "the output names the model" grep -q "model dgmr, sha256 $sum" <(ncdump -h "$tmp/out/a.nc")
else
    skip "ncdump is not installed"
fi
expect 5 "memory" "${run[@]}" -m "$tmp/m.safetensors" --memory-budget 1M -o "$tmp/out/d.nc"

expect 4 "needs a model" "${run[@]}" -o "$tmp/out/d.nc"
expect 4 "examples/rain.nc" "${run[@]}" -m examples/rain.nc -o "$tmp/out/d.nc"
expect 2 "ground" "$gen" model new --arch dgmr --config coordinates=air -o "$tmp/no.safetensors"
head -c 100000 "$tmp/m.safetensors" >"$tmp/cut.safetensors"
expect 4 "cut.safetensors" "${run[@]}" -m "$tmp/cut.safetensors" -o "$tmp/out/d.nc"
expect 2 "a.nc" "${run[@]}" -m "$tmp/m.safetensors" -o "$tmp/out/a.nc"
check "nothing is left behind" no_litter "$tmp/out" a.nc b.nc c.nc r.nc s.nc
