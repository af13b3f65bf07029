#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen train nowcast, killed at random moments and resumed until it is done: the losses of every step,
# also of those done twice, and the last checkpoint are those of a run that nobody killed.
# GEN_KILL_SECONDS=600 for longer.
. tests/cli/lib.bash
needs_weather

"$gen" radar simulate --frames 9 --height 64 --width 128 --cover 0.6 -o "$tmp/data.nc" -q
# train RUN: 8 steps with three validations and a checkpoint after each step that takes long.
train() {
    exec "$gen" train nowcast --data "$tmp/data.nc" -o "$1" --crop 32 --width 0.05 --leads 2 --batch 2 \
        --validate-crops 2 --validate-members 2 --validate-every 3 --log-every 1 --save-every 0.05s \
        --steps 8 --threads $((1 + RANDOM % 2)) --resume -q
}
# curve RUN: each step of the log, without clocks, once for all times it was done with these losses.
curve() {
    grep -a '"kind":"step".*}$' "$1/log.jsonl" | sed -E 's/"(seconds|step_seconds)":[^,]*,//g' | sort -t: -k3n -u
}
tensors() { cat "$1/checkpoints/$(cat "$1/checkpoints/LATEST")/tensors.safetensors"; }
now() { date +%s%N; }

from=$(now)
(train "$tmp/whole")
length=$((($(now) - from) / 1000000)) # ms
until=$(($(now) / 1000000000 + ${GEN_KILL_SECONDS:-10}))
RANDOM=$$
kills=0 runs=0 different=0 failed=0 litter=0
while [ $(($(now) / 1000000000)) -lt $until ] || [ $runs = 0 ]; do
    run=$tmp/killed
    rm -rf "$run"
    for ((lives = 0; ; lives++)); do
        began=$(now)
        (train "$run") 2>>"$tmp/stderr" &
        pid=$!
        # Once the time is over the run is let go to its end.
        if [ $lives = 0 ] || [ $(($(now) / 1000000000)) -lt $until ]; then
            sleep "$(awk -v r=$RANDOM -v l="$length" 'BEGIN { print 0.6 * l / 1000 * r / 32768 }')"
            kill -9 $pid 2>/dev/null
        fi
        wait $pid 2>/dev/null
        case $? in
            0) # the machine may be faster than it was: kills are to fall into a life's length
                ended=$((($(now) - began) / 1000000))
                [ $lives = 0 ] && [ $ended -lt $length ] && length=$ended
                break ;;
            137) kills=$((kills + 1)) ;;
            *) failed=$((failed + 1)) && break ;;
        esac
    done
    runs=$((runs + 1))
    [ "$(curve "$run")" = "$(curve "$tmp/whole")" ] && cmp -s <(tensors "$run") <(tensors "$tmp/whole") ||
        different=$((different + 1))
    [ -z "$(ls -A "$run/samples" | grep '^\.')" ] && no_litter "$run" best.safetensors checkpoints lock log.jsonl model.safetensors run.json samples ||
        litter=$((litter + 1))
done
echo "$kills kills in $runs runs of $length ms"
[ $failed = 0 ] || cat "$tmp/stderr"
check "the unbroken run has all steps" test "$(curve "$tmp/whole" | wc -l)" = 8
check "some lives were short" test $kills -gt 0
check "every run came to its end" test $failed = 0
check "the runs are the unbroken one" test $different = 0
check "nothing half written is left" test $litter = 0
check "no checkpoint was damaged" eval "! grep -q 'passed over' '$tmp/stderr'"
