#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# --device and --precision: what a machine without a GPU says, exit 7 and one sentence from every
# verb that computes; `auto` computes on the CPU there; libgen-cuda.so is loaded only when a GPU is
# asked for.
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
