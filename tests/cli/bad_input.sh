#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every verb that reads radar on every kind of bad file and call: exit codes, one sentence each,
# outputs whole or absent, nothing left behind after errors, signals and a full disk.
. tests/cli/lib.bash
needs_weather
in=$tmp/in
out=$tmp/out
mkdir "$in" "$out"
rain=$in/rain.nc

expect 0 "" "$gen" radar simulate --frames 6 --height 48 --width 64 --seed 3 -o "$rain"

# ---- good
for method in advection persistence; do
    expect 0 "" "$gen" nowcast "$rain" --method $method --lead 30 -o "$out/$method.nc"
done
expect 0 "" "$gen" nowcast "$rain" --lead 30 --at 2026-01-01T00:15 -o "$out/at.nc" --json
check "nowcast --json says where it began" grep -q '"reference_time":"2026-01-01T00:15:00Z"' \
    "$tmp/stdout"
check "no NaN in JSON" test -z "$(grep -iE '[:,](nan|inf)' "$tmp/stdout")"
expect 0 "" "$B/gen-nowcast" "$rain" --lead 10 -o "$out/link.nc"
expect 0 "" "$gen" nowcast "$rain" --lead 10 -o "$out/plot.nc" --plot "$out/maps"
check "no temporaries are left" no_litter "$out" advection.nc persistence.nc at.nc link.nc plot.nc maps

# ---- outputs that exist or cannot be
before=$(cksum <"$out/at.nc")
expect 2 "exists" "$gen" nowcast "$rain" --lead 10 -o "$out/at.nc"
check "not overwritten" test "$before" = "$(cksum <"$out/at.nc")"
expect 0 "" "$gen" nowcast "$rain" --lead 10 -o "$out/at.nc" --force
check "overwritten with --force" test "$before" != "$(cksum <"$out/at.nc")"
expect 2 "exists" "$gen" nowcast "$rain" --lead 10 -o "$out/new.nc" --plot "$out/maps"
check "nothing written when a picture is in the way" test ! -e "$out/new.nc"
expect 1 "No such file" "$gen" nowcast "$rain" --lead 10 -o /nonexistent/x.nc
expect 2 "folder" "$gen" nowcast "$rain" --lead 10 -o "$out"
rm -rf "${out:?}"/*

# ---- bad calls
expect 2 "usage" "$gen" nowcast -o "$out/x.nc"
expect 2 "-o" "$gen" nowcast "$rain"
expect 2 "did you mean '--lead'" "$gen" nowcast "$rain" --laed 30 -o "$out/x.nc"
expect 2 "multiple" "$gen" nowcast "$rain" --lead 7 -o "$out/x.nc"
expect 2 "out of range" "$gen" nowcast "$rain" --members 0 -o "$out/x.nc"
expect 2 "not an integer" "$gen" nowcast "$rain" --seed=x -o "$out/x.nc"
expect 2 "did you mean 'advection'" "$gen" nowcast "$rain" --method advektion -o "$out/x.nc"
expect 2 "wants a value" "$gen" nowcast "$rain" -o
expect 3 "" "$gen" nowcast "$rain" --at 1999-01-01T00:00 -o "$out/x.nc"
expect 4 "model" "$gen" nowcast "$rain" --method dgmr -o "$out/x.nc"
head -c 1000 /dev/urandom >"$in/model.safetensors"
expect 4 "model.safetensors" "$gen" nowcast "$rain" --method dgmr -m "$in/model.safetensors" -o "$out/x.nc"
expect 7 "cuda" "$gen" nowcast "$rain" --device cuda -o "$out/x.nc"

# ---- bad files: every verb that reads radar
size=$(wc -c <"$rain")
: >"$in/empty.nc"
head -c $((size / 2)) "$rain" >"$in/half.nc"
head -c $((size - 1)) "$rain" >"$in/short.nc"
head -c 4000 /dev/urandom >"$in/random.nc"
echo "no radar here" >"$in/text.nc"
cp tests/golden/layers_gru.npy "$in/other.nc" 2>/dev/null || echo x >"$in/other.nc"
mkdir "$in/folder"
mkfifo "$in/pipe.nc"
gzip -c "$rain" >"$in/packed.nc.gz"
expect 3 "gunzip it first" "$gen" radar info "$in/packed.nc.gz"
expect 3 "half.nc' is a damaged netCDF or HDF5 file" "$gen" radar info "$in/half.nc"
for f in none.nc empty.nc half.nc random.nc text.nc other.nc folder pipe.nc; do
    expect 3 "" timeout 20 "$gen" nowcast "$in/$f" -o "$out/x.nc"
    expect 3 "" timeout 20 "$gen" radar info "$in/$f"
    expect 3 "" timeout 20 "$gen" radar plot "$in/$f" -o "$out/x.png"
done
"$gen" nowcast "$in/short.nc" -o "$out/x.nc" >"$tmp/stdout" 2>&1 # one byte less: read or refused
code=$?
check "one byte short: exit 0 or 3" test $code = 0 -o $code = 3
rm -f "$out/x.nc"
expect 0 "" "$gen" radar simulate --frames 1 --height 48 --width 64 -o "$in/one.nc"
expect 3 "" "$gen" nowcast "$in/one.nc" -o "$out/x.nc"
check "failures leave nothing" no_litter "$out"

# ---- the middle of the work
interrupted() { # SIGNAL CODE
    timeout --preserve-status -s "$1" 1 "$gen" nowcast "$rain" --lead 90 --members 90000 \
        -o "$out/x.nc" >"$tmp/stdout" 2>"$tmp/stderr"
    [ $? = "$2" ] && no_litter "$out"
}
check "SIGINT: exit 130, nothing left" interrupted INT 130
check "SIGTERM: exit 143, nothing left" interrupted TERM 143

full_disk() { # a limit on file size stands for it
    (ulimit -f 16 && "$gen" nowcast "$rain" --lead 90 --encoding float --members 50 -o "$out/x.nc" \
        >"$tmp/stdout" 2>"$tmp/stderr")
    [ $? = 5 ] && no_litter "$out"
}
check "full disk: exit 5, nothing left" full_disk
full_disk_model() {
    (ulimit -f 16 && "$gen" model new --arch dgmr --config width=0.1 -o "$out/m" 2>"$tmp/stderr")
    [ $? != 0 ] && grep -q "$out/m: cannot write" "$tmp/stderr" && no_litter "$out"
}
check "full disk: the sentence names the model" full_disk_model

# ---- parts of the grid
expect 0 "" "$gen" radar info "$rain" --crop 4,8,20,30 --upscale 5
check "a crop, made coarser" grep -qF "4 x 6 cells" "$tmp/stdout"
expect 2 "expected Y,X,H,W in cells" "$gen" radar info "$rain" --crop 4,8,20
expect 2 "expected whole numbers" "$gen" radar info "$rain" --crop 4,8,20,3.5
expect 2 "the grid has 48 x 64" "$gen" radar info "$rain" --crop 4,8,20,300
expect 2 "expected to rise" "$gen" radar info "$rain" --bbox 53,4,52,5
expect 3 "no cell lies within" "$gen" radar info "$rain" --bbox 10,4,12,5
expect 2 "give one of them" "$gen" radar info "$rain" --bbox 51,4,52,5 --crop 0,0,2,2
expect 2 "60 x 60 cells" "$gen" radar info "$rain" --upscale 60
