#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# --device and --precision: what a machine without a GPU says, exit 7 and one sentence from every
# verb that computes; `auto` computes on the CPU there; libgen-cuda.so is loaded only when a GPU is
# asked for. On the emulated device of tests/cuda the forecast is the CPU's, however many members are
# computed at a time.
. tests/cli/lib.bash

# No GPU, whatever this machine has.
none=$tmp/none.so
export GEN_CUDA_LIBRARY=$none

# ---- which of library, driver and device is missing
expect 7 "device 'cuda': GEN_CUDA_LIBRARY=$none: there is no such file" "$gen" info --device cuda
echo "no library" >"$tmp/text.so"
expect 7 "device 'cuda': libgen-cuda.so.0 cannot be loaded" env "GEN_CUDA_LIBRARY=$tmp/text.so" "$gen" info --device cuda
if [ -e "$build/libgen-cuda.so" ]; then
    unset GEN_CUDA_LIBRARY
    expect 7 "device 'cuda': " env CUDA_VISIBLE_DEVICES= "$gen" info --device cuda
    check "the driver or the device is missing" grep -q 'no NVIDIA driver\|no NVIDIA GPU\|NVIDIA driver is for' "$tmp/stderr"
    if ! ldconfig -p 2>/dev/null | grep -q libgen-cuda; then
        cp "$gen" "$tmp/alone" # in a folder without such a library
        expect 7 "libgen-cuda.so.0 is not there: libgen was built without CUDA (WITH_CUDA=yes builds it)" \
            "$tmp/alone" info --device cuda
    fi
    export GEN_CUDA_LIBRARY=$none
else
    skip "libgen-cuda.so is not built"
fi
expect 2 "device 'gpu': expected cpu, cuda, cuda:NUMBER or auto" "$gen" info --device gpu
expect 2 "device 'cuda:x': expected cpu" "$gen" info --device cuda:x
expect 2 "device 'cudax': expected cpu" "$gen" info --device cudax

# ---- gen info
expect 0 "" "$gen" info
check "no GPU, and why" grep -qF "GPU              none: GEN_CUDA_LIBRARY=$none" "$tmp/stdout"
check "not built in" grep -q '^not built in .* cuda' "$tmp/stdout"
expect 0 "" "$gen" info --json
check "JSON says so too" grep -q '"cuda":{"kernels":"not built","ran_on":null,"gpus":\[\],"no_gpu":"GEN_CUDA' "$tmp/stdout"
expect 0 "" "$gen" info --ops
check "ops: not built" grep -q '^relu  *yes  *not built ' "$tmp/stdout"
expect 0 "on the CPU" "$gen" info --device auto -v
if [ -e "$build/libgen-cuda.so" ]; then
    expect 0 "" env -u GEN_CUDA_LIBRARY "$gen" info --ops
    check "built in" grep -q '^built in .* cuda' "$tmp/stdout"
    # Kernels are said to run once a device has run them: libgen/backends/cuda/ran_on.h.
    if grep -q 'GEN_CUDA_RAN_ON NULL' libgen/backends/cuda/ran_on.h; then
        check "ops: compiled, not run" grep -q '^relu  *yes  *compiled, not run .*; cuda/' "$tmp/stdout"
        check "no op is said to run" test -z "$(grep -E '^[a-z_0-9]+ +(yes|no) +yes ' "$tmp/stdout")"
    fi
fi

# ---- every verb
net=$tmp/net.safetensors
if "$gen" --help | grep -q nowcast; then
    small=latent-channels=32,context-channels=16
    rain=$tmp/rain.nc
    expect 0 "" "$gen" model new --arch dgmr --config $small,steps=3 --seed 2 -o "$net"
    expect 0 "" "$gen" radar simulate --frames 6 --height 64 --width 64 --seed 3 -o "$rain"
    cast=("$gen" nowcast "$rain" --lead 15 -m "$net")
    expect 7 "device 'cuda': " "${cast[@]}" --device cuda -o "$tmp/x.nc"
    expect 7 "device 'cuda:3': " "${cast[@]}" --device cuda:3 -o "$tmp/x.nc"
    expect 7 "runs on the CPU" "$gen" nowcast "$rain" --method steps --device cuda -o "$tmp/x.nc"
    expect 7 "device 'cuda': " "$gen" train nowcast --data "$rain" --device cuda -o "$tmp/run" --steps 1
    expect 7 "device 'cuda': " "$gen" train nowcast --device cuda --plan
    check "nothing is left behind" test ! -e "$tmp/x.nc" -a ! -e "$tmp/run"
    expect 2 "--precision tf32 is for GPUs" "${cast[@]}" --precision tf32 -o "$tmp/x.nc"
    expect 2 "device 'gpu': expected" "${cast[@]}" --device gpu -o "$tmp/x.nc"
    for verb in "model check $net" "model bench $net --shape frames=1x4x64x64x1" "model run $net --plan"; do
        # shellcheck disable=SC2086
        expect 7 "device 'cuda': " "$gen" $verb --device cuda
        # shellcheck disable=SC2086
        expect 2 "--precision tf32 is for GPUs" "$gen" $verb --precision tf32
    done

    # ---- without being asked for, no GPU is looked for
    for verb in "nowcast $rain --lead 15 -m $net -o $tmp/out.nc" "model check $net" "--version" "--help"; do
        # shellcheck disable=SC2086
        env -u GEN_CUDA_LIBRARY LD_DEBUG=files "$gen" $verb >"$tmp/stdout" 2>"$tmp/loaded" </dev/null
        check "libgen-cuda.so is not loaded: gen ${verb%% *}" \
            test $? = 0 -a -s "$tmp/loaded" -a "$(grep -c 'libgen-cuda' "$tmp/loaded")" = 0
    done

    # ---- auto
    expect 0 "device auto: on the CPU; device 'cuda': GEN_CUDA_LIBRARY" "${cast[@]}" --device auto -v -o "$tmp/auto.nc"
    if command -v ncdump >/dev/null; then
        values() { ncdump -v rain_rate "$1" | sed -n '/^data:/,$p' | cksum; }
        check "auto computes what the CPU computes" test "$(values "$tmp/auto.nc")" = "$(values "$tmp/out.nc")"
        check "the history names the device" grep -q ':history = .*device auto.*, on cpu)' <(ncdump -h "$tmp/auto.nc")
    fi
fi

# ---- on the emulated device (tests/cuda)
export GEN_CUDA_LIBRARY=$build/tests/cuda/libgen-cuda.so
[ -e "$GEN_CUDA_LIBRARY" ] || { skip "no emulated device is built"; exit 0; }
expect 0 "" "$gen" info
check "info lists the device" grep -q '^GPU  *cuda:0, .*, compute capability [0-9.]*, 2.1 GB, driver for CUDA [0-9]*.[0-9]$' "$tmp/stdout"
expect 0 "" "$gen" info --device cuda --json
check "and in JSON" grep -q '"gpus":\[{"device":"cuda:0".*"memory_bytes":2147483648.*"no_gpu":null' "$tmp/stdout"
expect 7 "device 'cuda': there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it" env GEN_EMULATED_DEVICES=0 "$gen" info --device cuda
expect 7 "device 'cuda': the NVIDIA driver is for CUDA" env GEN_EMULATED_DEVICES=-1 "$gen" info --device cuda
expect 7 "device 'cuda:4': there is no GPU of number 4, 1 found" "$gen" info --device cuda:4
# Programs that have libgen as a library: linked, or loaded for themselves alone.
if [ -e "$build/libgen.so.0" ] && command -v "${CC:-gcc}" >/dev/null; then
    cat >"$tmp/linked.c" <<'EOF'
#include <libgen/plan.h>
int main(void)
{
    gen_backend *b = NULL;
    gen_status s = gen_backend_open(&b, "cuda", 1);
    if (s)
        fprintf(stderr, "gen: %s\n", gen_last_error());
    gen_backend_close(&b);
    return s ? 7 : 0;
}
EOF
    cat >"$tmp/loaded.c" <<'EOF'
#include <dlfcn.h>
#include <stddef.h>
int main(int argc, char **argv)
{
    void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL), *b = NULL;
    int (*open)(void **, const char *, int);
    if (!library)
        return 1;
    *(void **)&open = dlsym(library, "gen_backend_open");
    return open(&b, "cuda", 1) ? 7 : 0;
}
EOF
    "${CC:-gcc}" -I"$build/include" "$tmp/linked.c" -L"$build" -lgen -Wl,-rpath,"$build" -o "$tmp/linked" &&
        "${CC:-gcc}" "$tmp/loaded.c" -ldl -o "$tmp/loaded"
    expect 0 "" "$tmp/linked"
    expect 7 "there is no NVIDIA GPU" env GEN_EMULATED_DEVICES=0 "$tmp/linked"
    check "a program that loads libgen.so for itself alone finds the device" "$tmp/loaded" "$build/libgen.so.0"
    check "and is told where there is none" test "$(GEN_EMULATED_DEVICES=0 "$tmp/loaded" "$build/libgen.so.0"; echo $?)" = 7
fi
[ -e "$net" ] || exit 0

expect 0 "" "$gen" model bench "$net" --device cuda --shape frames=1x4x64x64x1
check "its steps are timed, with the device's kernels" grep -q '^ *[0-9]* cudnn/conv .* us .*GFLOP/s' "$tmp/stdout"
check "one line says of how many runs" test "$(grep -c '^# best of' "$tmp/stdout")" = 1
expect 0 "" "$gen" model check "$net" --device cuda --json
small() { # KEY LIMIT: its values in the JSON that was printed are below
    grep -o "\"$1\":[-+.e0-9]*" "$tmp/stdout" | awk -F: -v l="$2" '!($2 < l) { bad = 1 } END { exit bad || !NR }'
}
check "f32 is the CPU's" small f32_error 1e-4
check "tf32 and bf16 are near" small "[tb]f[0-9]*_error" 0.1

cast=("$gen" nowcast "$rain" --lead 15 -m "$net" --encoding float --members 5 --seed 7)
expect 0 "" "${cast[@]}" -o "$tmp/cpu5.nc"
expect 0 "" "${cast[@]}" --device cuda --json -o "$tmp/cuda5.nc"
check "JSON names the device" grep -q '"device":"cuda:0"' "$tmp/stdout"
expect 0 "" "${cast[@]}" --device cuda --plan
check "all members at a time" grep -q '^members  *5, 5 at a time$' "$tmp/stdout"
# Room for two members: the sampler's for five, and 2.5 / 5 of it.
five=$(sed -n 's/.*then \([0-9.]*\) MB for the sampler.*/\1/p' "$tmp/stdout")
two=$(awk -v m="$five" 'BEGIN { printf "%dK", m * 1000 * 0.5 }')
expect 0 "" "${cast[@]}" --device cuda --memory-budget "$two" --plan
check "two at a time" grep -q '^members  *5, 2 at a time$' "$tmp/stdout"
check "all lead times at a time" grep -q '^lead times  *3, 3 at a time$' "$tmp/stdout"
expect 0 "" "${cast[@]}" --device cuda --memory-budget "$two" -o "$tmp/cuda2.nc"
# States go from run to run: of one member at a time, and of two.
far=("$gen" nowcast "$rain" -m "$net" --encoding float --members 2 --seed 7)
expect 0 "" "${far[@]}" --lead 60 -o "$tmp/cpu60.nc"
expect 0 "" "${far[@]}" --lead 60 --device cuda --memory-budget 250K --plan
check "one member, few lead times at a time" grep -q '^members  *2, 1 at a time$' "$tmp/stdout"
check "few lead times at a time" grep -q '^lead times  *12, [2-6] at a time$' "$tmp/stdout"
expect 0 "" "${far[@]}" --lead 60 --device cuda --memory-budget 250K -o "$tmp/cuda60.nc"
expect 0 "" "${far[@]}" --lead 190 -o "$tmp/cpu190.nc"
expect 0 "" "${far[@]}" --lead 190 --device cuda -v -o "$tmp/cuda190.nc"
check "two members" grep -q '2 of 2 members at a time on cuda:0' "$tmp/stderr"
check "of a long forecast, a part at a time" grep -q 'of 38 lead times at a time' "$tmp/stderr"
expect 0 "" "${cast[@]}" --device auto --precision bf16 -o "$tmp/bf16.nc"
expect 0 "" "${cast[@]}" --device auto --precision tf32 -o "$tmp/tf32.nc"
expect 2 "expected cpu" "${cast[@]}" --device cuda: -o "$tmp/x.nc"
expect 5 "MB asked for on cuda:0, which has" env GEN_EMULATED_MEMORY=300000 "${cast[@]}" --device cuda -o "$tmp/x.nc"
expect 5 "memory budget" "${cast[@]}" --device cuda --memory-budget 20K -o "$tmp/x.nc"
check "a device that is too small leaves nothing" test ! -e "$tmp/x.nc"

if command -v ncdump >/dev/null; then
    numbers() { ncdump -p 9 -v rain_rate "$1" | sed '1,/^data:/d' | tr -d ' ;}' | tr ',' '\n' | grep -E '^(_|[-+.e0-9]+)$'; }
    # CPU's FILE LIMIT: max|d| / max|CPU's|, missing cells in the same places.
    near() {
        paste <(numbers "$1") <(numbers "$2") | awk -v l="$3" '
            NF != 2 || ($1 == "_") != ($2 == "_") { bad = 1 }
            { d = $1 - $2; d = d < 0 ? -d : d; a = d > a ? d : a; m = $1 > m ? $1 : m }
            END {
                bad = bad || m <= 0 || a > l * m
                if (bad) print "found", a, "of", m
                exit bad
            }'
    }
    check "five members at a time are the CPU's" near "$tmp/cpu5.nc" "$tmp/cuda5.nc" 1e-4
    check "two at a time as well" near "$tmp/cpu5.nc" "$tmp/cuda2.nc" 1e-4
    check "and a few lead times at a time" near "$tmp/cpu60.nc" "$tmp/cuda60.nc" 1e-4
    check "and those of two members" near "$tmp/cpu190.nc" "$tmp/cuda190.nc" 1e-4
    check "bf16 is near" near "$tmp/cpu5.nc" "$tmp/bf16.nc" 0.1
    check "tf32 is near" near "$tmp/cpu5.nc" "$tmp/tf32.nc" 0.1
    check "the history names the device" grep -q ':history = .*device auto.*, on cuda:0: .*compute capability' <(ncdump -h "$tmp/bf16.nc")
fi
