#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a user or a script can do to the program beside bad radar files: links, closed standard
# files, outputs that are inputs, folders for pictures that cannot be, FIFOs, signals.
. tests/cli/lib.bash
needs_weather
out=$tmp/out
mkdir "$out"

# ---- words
expect 0 "" "$gen" help model
check "help of a group of verbs" grep -q '^  gen model info' "$tmp/stdout"
expect 2 "unknown command 'gen bogus'" "$gen" help bogus
expect 2 "unknown option '-é'" "$gen" info -é
expect 2 "expected 0 to 9223372036854775807" "$gen" model new --arch dgmr -o "$out/m" \
    --seed 99999999999999999999
expect 2 "not stdout" "$gen" model new --arch dgmr -o -
expect 2 "not stdout" "$gen" model convert "$out/m" -o -

# ---- a FIFO where an array belongs must not be waited for
expect 0 "" "$gen" model new --arch dgmr --config width=0.1 -o "$out/m"
mkfifo "$tmp/pipe.npy"
expect 3 "not a regular file" timeout 20 "$gen" model run "$out/m" --input frames="$tmp/pipe.npy" \
    --output "$out/y.npy"
zeros() { # FILE TYPE: an array [1,4,32,32,1]
    local head="{'descr': '$2', 'fortran_order': False, 'shape': (1, 4, 32, 32, 1), }"
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$head" >"$1"
    head -c 16384 /dev/zero >>"$1"
}
zeros "$tmp/x.npy" '<f4'
zeros "$tmp/big.npy" '>f4'
run=("$gen" model run "$out/m" --input frames="$tmp/x.npy")
expect 3 "type is '>f4', expected" "$gen" model run "$out/m" --input frames="$tmp/big.npy" \
    --output "$out/y.npy"
expect 2 "given twice" "${run[@]}" --output "$out/y.npy" --output "$out/y.npy"
expect 2 "given twice" "${run[@]}" --output rain="$out/y.npy" --output rain="$out/z.npy"
expect 2 "not stdout" "${run[@]}" --output rain=-
expect 2 "-1 is out of range" "$gen" model diff "$out/m" "$out/m" --fail-over -1
expect 3 "dgmr: frames are" "$gen" model bench "$out/m" --shape frames=1x3x32x32x1
check "no output of that" no_litter "$out" m
rm "$out/m"

# ---- links: what they point to is replaced, only with --force; the rest is refused in time
new=("$gen" model new --arch dgmr --config width=0.1)
echo old >"$out/target"
ln -s target "$out/link"
ln -s nothing "$out/dangling"
ln -s loop "$out/loop"
expect 2 "exists" "${new[@]}" -o "$out/link"
check "the target is as it was" grep -q old "$out/target"
expect 0 "" "${new[@]}" -o "$out/link" --force
check "the link is still one, its target is new" test -h "$out/link" -a \
    "$(wc -c <"$out/target")" -gt 999
expect 2 "link to nothing" "${new[@]}" -o "$out/dangling" --force
expect 2 "link to nothing" "${new[@]}" -o "$out/loop"
expect 2 "not a regular file" "${new[@]}" -o /dev/null
check "nothing else is there" no_litter "$out" dangling link loop target
rm "$out"/*

rain=$tmp/rain.nc
expect 0 "" "$gen" radar simulate --frames 4 --height 32 --width 32 -o "$rain"
run=("$gen" nowcast "$rain" --lead 10)

# ---- calls that would lose or mislead
sum=$(cksum <"$rain")
expect 2 "one of the inputs" "${run[@]}" -o "$rain" --force
expect 2 "one of the inputs" "$gen" radar plot "$rain" -o "$rain" --force
check "the observations are as they were" test "$sum" = "$(cksum <"$rain")"
expect 2 "expected --method dgmr" "${run[@]}" --method advection -m model.safetensors -o "$out/x.nc"
expect 3 "no frame until 1999-01-01T00:00:00Z" "${run[@]}" --at 1999-01-01T00:00 -o "$out/x.nc"
expect 2 "not stdout" "$gen" radar plot "$rain" -o -
expect 2 "not stdout" "$gen" radar simulate -o -
cp "$rain" "$tmp/back\\slash.nc"
expect 3 "backslash" "$gen" radar info "$tmp/back\\slash.nc"

# ---- folders for pictures
echo text >"$tmp/file"
expect 2 "no folder" "${run[@]}" -o "$out/x.nc" --plot "$tmp/file"
expect 4 "model" "${run[@]}" --method dgmr -m "$tmp/file" -o "$out/x.nc" --plot "$out/maps"
expect 1 "cannot make folder" "${run[@]}" -o "$out/x.nc" --plot "$out/none/maps"
check "nothing of these" no_litter "$out"

# ---- standard files that are closed: the next file opened must not take their place
expect 0 "" "${run[@]}" -o "$out/b.nc"
"${run[@]}" -o "$out/a.nc" <&- >&- 2>&-
check "closed stdout: a failure" test $? = 1
if command -v ncdump >/dev/null; then
    values() { ncdump -v rain_rate "$1" | sed -n '/^data:/,$p' | cksum; }
    check "the forecast is whole" test "$(values "$out/a.nc")" = "$(values "$out/b.nc")"
else
    skip "ncdump is not installed"
fi
rm -f "$out"/*

# ---- signals
timeout --foreground --preserve-status -s INT 0.7 "$gen" radar simulate --frames 20000 -o "$out/x.nc" \
    2>"$tmp/stderr"
check "simulate, SIGINT: exit 130, nothing left" test $? = 130 -a -z "$(ls -A "$out")"
timeout --foreground --preserve-status -s INT 0.7 "$gen" nowcast examples/rain.nc --lead 14400 \
    --plot "$out/maps" -o "$out/x.nc" 2>"$tmp/stderr"
check "pictures, SIGINT: exit 130, nothing left" test $? = 130 -a -z "$(ls -A "$out")"
