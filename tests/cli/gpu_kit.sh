#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make gpu-kit, rehearsed: packed with few programs and no radar, unpacked elsewhere, run with nothing of the tree. On
# the emulated device where there is one, else on the CPU.
. tests/cli/lib.bash
needs_weather
command -v python3 >/dev/null || { skip "the kit: python3 is not installed"; exit 0; }

emulated=$B/tests/cuda/libgen-cuda.so
programs=(check_ops golden/adam bench/serve_gen)
make=${MAKE:-make}
(unset MAKEFLAGS MFLAGS && GEN_SHARED=$tmp/none MAKE=$make CUDA_SHARED=$([ -r "$emulated" ] && echo "$emulated") \
    bash tests/gpu/kit.sh "$B" "${programs[@]}") >"$tmp/kit.log" 2>&1
code=$?
check "the kit is packed" test $code = 0
[ $code = 0 ] || { tail -5 "$tmp/kit.log"; exit 1; }
check "it is below 60 MB" test "$(stat -c %s "$B/gpu-kit.tar.gz")" -lt 60000000
mkdir "$tmp/away" && tar -xzf "$B/gpu-kit.tar.gz" -C "$tmp/away"
kit=$tmp/away/gpu-kit

# What its programs load lies in the kit, or is the C library's.
strangers() {
    find "$kit/build" -type f -perm -u+x ! -name '*.so*' -exec ldd {} + | awk '$3 ~ "^/" { print $3 }' |
        xargs realpath -s | grep -v "^$kit/" | grep -vE '/lib(c|m|dl|rt|pthread|gcc_s)\.so' && return 1
    return 0
}
check "no library from outside" strangers

device=cpu
if [ -r "$emulated" ]; then device=cuda; fi
cd "$tmp/away" || exit 1
unset B GEN_SHARED
run() { "$kit/run.sh" "$@" --device $device >"$tmp/out.txt" 2>&1; }
for word in sigmoid golden/adam; do
    run check --only $word --out "$tmp/check"
    code=$?
    check "run.sh check, $word on $device" test $code = 0
    [ $code = 0 ] || tail -20 "$tmp/out.txt"
done
check "the table is left there" grep -q '^| golden/adam: Adam | 1 ok' "$tmp/check/check.md"
run check --only nothing-is-called-so
check "a check of nothing is none" test $? = 1
"$kit/run.sh" dance 2>/dev/null
check "an unknown word is exit 2" test $? = 2

# What it trains on: .npy.
gen=$kit/build/gen
python3 - "$tmp/rain" <<'EOF'
import json, struct, sys
t, n = 18, 96
head = "{'descr': '<u2', 'fortran_order': False, 'shape': (%d, %d, %d), }" % (t, n, n)
cells = [(x * y + 7 * k) % 90 for k in range(t) for y in range(n) for x in range(n)]
with open(sys.argv[1] + ".npy", "wb") as f:
    f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + head.ljust(117).encode() + b"\n")
    f.write(struct.pack("<%dH" % len(cells), *cells))
json.dump({"start": "2026-01-01T00:00:00Z", "step": 300, "scale": 0.1}, open(sys.argv[1] + ".json", "w"))
EOF
"$gen" train nowcast --data "$tmp/rain.npy" -o "$tmp/run" --steps 1 --width 0.05 --crop 32 --batch 1 --leads 8 \
    --validate-crops 0 -q >"$tmp/out.txt" 2>&1
check "it trains on .npy" test -s "$tmp/run/model.safetensors"
[ -s "$tmp/run/model.safetensors" ] || cat "$tmp/out.txt"
"$gen" nowcast "$tmp/rain.npy" --method advection -o "$tmp/rain-out.npy" -q >"$tmp/out.txt" 2>&1
check "it forecasts into .npy" test -s "$tmp/rain-out.npy"
"$gen" nowcast "$tmp/rain.npy" --method advection -o "$tmp/out.npy" --plot "$tmp/p.png" -q >"$tmp/out.txt" 2>&1
check "pictures are refused with a sentence" grep -q "need Cairo" "$tmp/out.txt"
