#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen model: make, inspect, convert, compare, check and run; exit code 4 for every model that is
# rejected; nothing overwritten, nothing left behind.
. tests/cli/lib.bash
needs_weather
files=tests/golden/model_files
config=latent-channels=32,context-channels=16,steps=2

expect 0 "" "$gen" model new --arch dgmr-ocf --config $config --seed 1 -o "$tmp/a.safetensors"
expect 0 "" "$gen" model new --arch dgmr-ocf --config $config --seed 1 -o "$tmp/b.safetensors"
check "same seed, same bytes" cmp -s "$tmp/a.safetensors" "$tmp/b.safetensors"
expect 2 "a.safetensors" "$gen" model new --arch dgmr-ocf --config $config -o "$tmp/a.safetensors"
expect 2 "did you mean 'dgmr-ocf'" "$gen" model new --arch dgmr-ofc -o "$tmp/c"
expect 2 "latent-chanels" "$gen" model new --arch dgmr --config latent-chanels=32 -o "$tmp/c"
expect 2 "steps" "$gen" model new --arch dgmr --config steps=0 -o "$tmp/c"
expect 2 "is not NAME=VALUE" "$gen" model new --arch dgmr --config steps -o "$tmp/c"

expect 0 "" "$gen" model info "$tmp/a.safetensors"
check "info names the network" grep -q '^network    dgmr-ocf' "$tmp/stdout"
expect 0 "" "$gen" model info "$tmp/a.safetensors" --json
check "info --json is one object" grep -q '^{"file":.*"network":"dgmr-ocf".*}$' "$tmp/stdout"
expect 0 "" "$gen" model info $files/whole.bin
check "info of a foreign file" grep -q '^network    foreign' "$tmp/stdout"

expect 0 "" "$gen" model convert "$tmp/a.safetensors" --bf16 -o "$tmp/half.safetensors"
expect 0 "" "$gen" model diff "$tmp/a.safetensors" "$tmp/b.safetensors" --fail-over 0
expect 0 "" "$gen" model diff "$tmp/a.safetensors" "$tmp/half.safetensors" --fail-over 0.004
"$gen" model diff "$tmp/a.safetensors" "$tmp/half.safetensors" --fail-over 1e-6 >/dev/null 2>&1
check "diff --fail-over: exit 8" test $? = 8
expect 4 "'dgmr-ocf', not 'dgmr'" "$gen" model convert --arch dgmr "$tmp/a.safetensors" -o "$tmp/c"
expect 4 "no known network" "$gen" model convert $files/whole.bin -o "$tmp/c"
expect 4 "system', which is not part" "$gen" model convert $files/bomb.pth -o "$tmp/c"
expect 4 "convert it once" "$gen" model check $files/whole.bin
expect 3 "No such file" "$gen" model info "$tmp/none"

expect 0 "" "$gen" model check "$tmp/a.safetensors"
check "check reports bf16" grep -q 'bf16 differs from f32 by [0-9.]*e-0[1-9]' "$tmp/stdout"
expect 0 "" "$gen" model bench "$tmp/a.safetensors" --runs 1 --shape frames=1x4x64x64x1
check "bench prints steps" grep -q 'onednn/conv' "$tmp/stdout"

# A file with the networks that its network was trained with.
pair="$tmp/pair.safetensors"
expect 0 "" "$gen" model new --arch dgmr --config width=0.1,steps=2 \
    --companion dgmr-discriminators:width=0.1 --bf16 -o "$pair"
expect 0 "" "$gen" model info "$pair"
check "info names the companion" grep -q '^companion  dgmr-discriminators: ' "$tmp/stdout"
expect 0 "" "$gen" model info "$pair" --json
check "info --json too" grep -q '"companions":\[{"network":"dgmr-discriminators","config":{.*"width":0.1' \
    "$tmp/stdout"
expect 0 "" "$gen" model check "$pair"
check "check runs both" test "$(grep -c 'all values are finite' "$tmp/stdout")" = 2
expect 0 "" "$gen" model convert "$pair" --bf16 -o "$tmp/pair2.safetensors"
check "convert keeps the companion, and every byte" cmp -s "$pair" "$tmp/pair2.safetensors"
expect 0 "" "$gen" model convert "$pair" --bf16 --alone -o "$tmp/alone.safetensors"
expect 0 "" "$gen" model new --arch dgmr --config width=0.1,steps=2 --bf16 -o "$tmp/one.safetensors"
check "convert --alone drops it" cmp -s "$tmp/alone.safetensors" "$tmp/one.safetensors"
"$gen" model diff "$pair" "$tmp/alone.safetensors" --fail-over 0 >"$tmp/stdout" 2>&1
check "diff: exit 8 for a companion in one file only" test $? = 8
check "diff names its tensors" grep -q '^first only @dgmr-discriminators/' "$tmp/stdout"
expect 2 "did you mean 'dgmr-discriminators'" "$gen" model new --arch dgmr \
    --companion dgmr-discriminator -o "$tmp/c"
expect 2 "is given twice" "$gen" model new --arch dgmr --companion dgmr-discriminators \
    --companion dgmr-discriminators -o "$tmp/c"
cp "$pair" "$tmp/nan.safetensors"
printf '\0\0\300\177' | dd of="$tmp/nan.safetensors" bs=1 conv=notrunc status=none \
    seek=$(($(od -An -N8 -tu8 "$pair") + 8)) # the first values are the companion's
expect 4 "not finite" "$gen" model check "$tmp/nan.safetensors"
rm "$tmp/nan.safetensors"

# Metadata of the user's.
echo '{"licence": "CC0", "libgen.arch": "toy", "scores": {"crps": 0.5}}' >"$tmp/more.json"
expect 0 "" "$gen" model convert "$pair" --metadata "$tmp/more.json" -o "$tmp/more.safetensors"
expect 0 "" "$gen" model info "$tmp/more.safetensors"
check "convert --metadata adds keys" grep -q '^metadata   licence: CC0$' "$tmp/stdout"
check "also those that are no text" grep -qF 'metadata   scores: {"crps":0.5}' "$tmp/stdout"
check "and keeps the network's" grep -q '^network    dgmr: ' "$tmp/stdout"
echo '[1]' >"$tmp/more.json"
expect 2 "must be a JSON object" "$gen" model convert "$pair" --metadata "$tmp/more.json" -o "$tmp/c"
expect 3 "No such file" "$gen" model convert "$pair" --metadata "$tmp/none.json" -o "$tmp/c"
printf '{}\0' >"$tmp/more.json"
expect 3 "is not text" "$gen" model convert "$pair" --metadata "$tmp/more.json" -o "$tmp/c"

# A .npy of zeros [1,4,64,32,1].
npy() { # FILE SHAPE COUNT
    local head="{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }"
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$head" >"$1"
    head -c $(($3 * 4)) /dev/zero >>"$1"
}
npy "$tmp/x.npy" "1, 4, 64, 32, 1" 8192
npy "$tmp/wrong.npy" "1, 4, 64, 33, 1" 8448
npy "$tmp/flat.npy" "64, 32" 2048
run=("$gen" model run "$tmp/a.safetensors")
expect 0 "" "${run[@]}" --input frames="$tmp/x.npy" --output rain="$tmp/y.npy" --seed 7
check "shape of the output" grep -qa "(1, 2, 64, 32, 1" "$tmp/y.npy"
expect 0 "" "${run[@]}" --input frames="$tmp/x.npy" --output "$tmp/y2.npy" --seed 7 -t 1
check "same seed, same bytes at 1 thread" cmp -s "$tmp/y.npy" "$tmp/y2.npy"
expect 0 "" "${run[@]}" --input frames="$tmp/x.npy" --output "$tmp/y2.npy" --seed 8 --force
check "other seed, other bytes" test -n "$(cmp "$tmp/y.npy" "$tmp/y2.npy" 2>&1)"
expect 2 "y.npy" "${run[@]}" --input frames="$tmp/x.npy" --output "$tmp/y.npy"
expect 2 "input 'frames' is missing" "${run[@]}" --output "$tmp/z.npy"
expect 2 "no output 'snow'" "${run[@]}" --input frames="$tmp/x.npy" --output snow="$tmp/z.npy"
expect 3 "no input 'frame'" "${run[@]}" --input frame="$tmp/x.npy" --output "$tmp/z.npy"
expect 3 "'frames' is [64,32], expected 5 dimensions" "${run[@]}" --input frames="$tmp/flat.npy" \
    --output "$tmp/z.npy"
expect 3 "[1,4,64,33,1]" "${run[@]}" --input frames="$tmp/wrong.npy" --output "$tmp/z.npy"
expect 3 "" "${run[@]}" --input frames=$files/bomb.pth --output "$tmp/z.npy"

# Every verb refuses a damaged model with code 4.
head -c 100000 "$tmp/a.safetensors" >"$tmp/cut.safetensors"
expect 4 "cut.safetensors" "$gen" model info "$tmp/cut.safetensors"
expect 4 "cut.safetensors" "$gen" model check "$tmp/cut.safetensors"
expect 4 "cut.safetensors" "$gen" model bench "$tmp/cut.safetensors"
expect 4 "cut.safetensors" "$gen" model convert "$tmp/cut.safetensors" -o "$tmp/c"
expect 4 "cut.safetensors" "$gen" model diff "$tmp/a.safetensors" "$tmp/cut.safetensors"
expect 4 "cut.safetensors" "$gen" model run "$tmp/cut.safetensors" --input frames="$tmp/x.npy" \
    --output "$tmp/z.npy"

# Values that are not finite.
cp "$tmp/a.safetensors" "$tmp/nan.safetensors"
printf '\0\0\300\177' | dd of="$tmp/nan.safetensors" bs=1 conv=notrunc status=none \
    seek=$(($(stat -c %s "$tmp/a.safetensors") - 4))
expect 4 "not finite" "$gen" model check "$tmp/nan.safetensors"

mkdir "$tmp/clean" && cp "$tmp/a.safetensors" "$tmp/clean"
(ulimit -f 20 && trap '' XFSZ && "$gen" model convert "$tmp/a.safetensors" -o "$tmp/clean/c" \
    >/dev/null 2>&1)
check "a file that cannot be written whole is absent" no_litter "$tmp/clean" a.safetensors
