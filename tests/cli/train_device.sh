#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen train nowcast --device cuda, on the emulated device: the losses and scores of the processor, a
# run that goes on on the other, in f32 and bf16.
. tests/cli/lib.bash
needs_weather

emulated=$B/tests/cuda/libgen-cuda.so
if [ ! -e "$emulated" ]; then
    skip "training on a device: no CUDA headers"
    exit 0
fi
export GEN_CUDA_LIBRARY=$emulated

mkdir "$tmp/data"
"$gen" radar simulate --frames 9 --height 64 --width 128 --cover 0.6 --seed 1 \
    --start 2026-01-01T00:00 -o "$tmp/data/1.nc" -q
# train RUN OPTION...
train() {
    local run=$1
    shift
    "$gen" train nowcast --data "$tmp/data" -o "$run" --crop 32 --width 0.05 --leads 2 --batch 2 \
        --draws 2 --draws-at-once 1 --average 0.9 --validate-crops 2 --validate-members 2 --log-every 1 \
        -q "$@"
}
# numbers RUN: losses and scores of the log, in four digits.
numbers() {
    grep -E '"kind":"(step|validation)"' "$1/log.jsonl" |
        sed -E 's/"(seconds|step_seconds|rates)":[^,]*,//g' |
        grep -oE '"(step|D|G|metric)":-?[0-9.e+-]+' | awk -F: '{ printf "%s %.4g\n", $1, $2 }'
}

expect 0 "" train "$tmp/cpu" --steps 4 --validate-every 2
expect 0 "" train "$tmp/cuda" --steps 4 --validate-every 2 --device cuda
check "losses and scores are the processor's" test "$(numbers "$tmp/cuda")" = "$(numbers "$tmp/cpu")"
expect 0 "" train "$tmp/begun" --steps 2 --validate-every 2
expect 0 "" train "$tmp/begun" --steps 4 --validate-every 2 --resume --device cuda
check "a run of the processor goes on on the device" test "$(numbers "$tmp/begun")" = "$(numbers "$tmp/cpu")"
expect 0 "" train "$tmp/moved" --steps 2 --validate-every 2 --device cuda
expect 0 "" train "$tmp/moved" --steps 4 --validate-every 2 --resume
check "and one of the device on the processor" test "$(numbers "$tmp/moved")" = "$(numbers "$tmp/cpu")"
expect 0 "" train "$tmp/parts" --steps 2 --validate-every 2 --device cuda
expect 0 "" train "$tmp/parts" --steps 4 --validate-every 2 --resume --device cuda
check "in two parts on the device: the same bytes" cmp \
    "$tmp/parts/checkpoints/step-00000004/tensors.safetensors" \
    "$tmp/cuda/checkpoints/step-00000004/tensors.safetensors"
expect 0 "" train "$tmp/bf16" --steps 1 --validate-every 1 --device cuda --precision bf16
expect 0 "" "$gen" nowcast "$tmp/data/1.nc" -m "$tmp/cuda/model.safetensors" --method dgmr --members 2 \
    -o "$tmp/forecast.nc"
