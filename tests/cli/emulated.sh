#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What `make check-gpu` runs on a device, on the emulated one: every op's kernels, layers, the networks with their
# gradients, turns of training, random graphs; the same programs and values as on the CPU.
. tests/cli/lib.bash

emulated=$B/tests/cuda/libgen-cuda.so
[ -r "$emulated" ] || { skip "the emulated device: CUDA was not found when this was built"; exit 0; }
export GEN_CUDA_LIBRARY=$PWD/$emulated GEN_TEST_DEVICE=cuda
[ -r "$GEN_CUDA_LIBRARY" ] || GEN_CUDA_LIBRARY=$emulated

run() { # NAME PROGRAM ARGUMENT...
    local name=$1
    shift
    "$@" </dev/null >"$tmp/$name.txt" 2>&1
    local code=$?
    check "$name on the emulated device" test $code = 0
    [ $code = 0 ] || grep -v '^\[ \( RUN  \|      OK\) \|^\[ RUN' "$tmp/$name.txt" | tail -40
}

run check_ops "$B/tests/check_ops" --device cuda
for name in ops layers adam gan dgmr dgmr_disc dgmr_step; do
    [ -x "$B/tests/golden/$name" ] && run "golden_$name" "$B/tests/golden/$name"
done
run plans "$B/tests/property/plan"

# Nothing above may have gone to the CPU instead.
GEN_EMULATED_DEVICES=0 "$B/tests/golden/adam" </dev/null >"$tmp/none.txt" 2>&1
check "without a device they fail" test $? != 0
