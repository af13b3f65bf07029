#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen train nowcast as it is used, on simulated rain: what a run leaves; going on; NaN; signals; a full
# disk; and every input that cannot be trained on, each with its sentence and nothing lost.
. tests/cli/lib.bash
needs_weather

for seed in 1 2; do
    "$gen" radar simulate --frames 9 --height 64 --width 128 --cover 0.6 --seed $seed \
        --start 2026-01-0${seed}T00:00 -o "$tmp/data$seed.nc" -q
done
mkdir "$tmp/data" && mv "$tmp"/data?.nc "$tmp/data"

settings=(--crop 32 --width 0.05 --leads 2 --batch 2 --validate-crops 2 --validate-members 2 --log-every 1)
train=("$gen" train nowcast)
# train RUN OPTION...
train() {
    local run=$1
    shift
    "${train[@]}" --data "$tmp/data" -o "$run" "${settings[@]}" "$@"
}

# curve RUN: a line for each step of the log, without clocks. A step that was done twice is there
# twice, unless it was the same.
curve() {
    grep '"kind":"step"' "$1/log.jsonl" | sed -E 's/"(seconds|step_seconds)":[^,]*,//g' | sort -t: -k3n -u
}
last_tensors() { cat "$1/checkpoints/$(cat "$1/checkpoints/LATEST")/tensors.safetensors"; }
event() { grep '"kind":"event"' "$1/log.jsonl" | grep -qF -- "$2"; }

# ---- from start to end
expect 0 "" train "$tmp/whole" --steps 4 --validate-every 2 --threads 1
check "stdout tells steps and score" grep -qE 'whole: 4 steps, .*CRPS [0-9.]+ mm/h, best' "$tmp/stdout"
check "no live line where there is no terminal" test -z "$(tr -d '\n\40-\176' <"$tmp/stderr")"
check "a run's folder" no_litter "$tmp/whole" best.safetensors checkpoints lock log.jsonl \
    model.safetensors run.json samples
check "its checkpoints" no_litter "$tmp/whole/checkpoints" LATEST step-00000000 step-00000002 step-00000004
check "the digests are right" eval "(cd '$tmp/whole/checkpoints/step-00000004' && sha256sum -c --quiet SHA256SUMS)"
check "its samples" no_litter "$tmp/whole/samples" step-00000002.npy step-00000004.npy
check "a line for each step" test "$(curve "$tmp/whole" | wc -l)" = 4
expect 0 "" "$gen" model info "$tmp/whole/best.safetensors"
check "the model is bf16" grep -q 'BF16 x' "$tmp/stdout"
check "the model has its discriminators" grep -q 'companion *dgmr-discriminators' "$tmp/stdout"
expect 0 "" "$gen" nowcast "$tmp/data/data1.nc" -m "$tmp/whole/model.safetensors" --method dgmr --members 2 \
    -o "$tmp/forecast.nc"
expect 0 "" "$gen" train report "$tmp/whole"

# ---- in two parts: the same
expect 0 "" train "$tmp/parts" --steps 2 --validate-every 2 -q
check "quiet is quiet" test ! -s "$tmp/stdout" -a ! -s "$tmp/stderr"
expect 0 "" train "$tmp/parts" --steps 4 --validate-every 2 --resume --threads 2
check "two parts at 2 threads have the losses of one at 1" \
    test "$(curve "$tmp/parts")" = "$(curve "$tmp/whole")"
check "and its tensors" cmp <(last_tensors "$tmp/parts") <(last_tensors "$tmp/whole")
expect 0 "" train "$tmp/parts" --steps 4 --validate-every 2 --resume
check "a run that is done stays" test "$(curve "$tmp/parts")" = "$(curve "$tmp/whole")"

# ---- from a model
expect 0 "" train "$tmp/from" --steps 1 --validate-every 9 --seed 3 -q
init() {
    "${train[@]}" --data "$tmp/data" -o "$@" --crop 32 --batch 2 --validate-crops 2 --validate-members 2 -q
}
expect 0 "" init "$tmp/init" --init "$tmp/from/model.safetensors" --steps 1 --leads 3
expect 0 "" "$gen" model info "$tmp/init/model.safetensors"
check "--leads are those asked for" grep -qE 'steps +3$' "$tmp/stdout"
"$gen" model convert --alone "$tmp/from/model.safetensors" -o "$tmp/alone.safetensors" -q
expect 0 "" init "$tmp/init2" --init "$tmp/alone.safetensors" --steps 1
expect 2 "--width: the generator is that of --init" init "$tmp/x" --init "$tmp/alone.safetensors" --steps 1 --width 0.1
expect 4 "" init "$tmp/x" --init "$tmp/data/data1.nc" --steps 1

# ---- other ways to compute a step
expect 0 "" train "$tmp/x" --plan
check "--plan tells memory" grep -qE 'discriminators .* MB of activations' "$tmp/stdout"
check "--plan leaves nothing" test ! -e "$tmp/x"
for more in "--precision bf16" "--pieces 2" "--draws 4 --draws-at-once 2" "--memory-budget 3M" \
    "--regulariser crps --octaves 2" "--adversarial 0" "--set coordinates=rain" "--validate-crops 0"; do
    # shellcheck disable=SC2086
    expect 0 "" train "$tmp/way" --steps 1 --validate-every 9 $more -q
    check "$more: a model" test -s "$tmp/way/model.safetensors"
    rm -rf "$tmp/way"
done
expect 5 "budget" train "$tmp/x" --steps 1 --memory-budget 0.1M
expect 0 "" train "$tmp/way" --time-limit 1s --save-every 1s --validate-every 100000
check "--time-limit saves" test "$(wc -l <"$tmp/way/checkpoints/LATEST")" = 1 -a -s "$tmp/way/model.safetensors"

# ---- what cannot be trained on
refused() {
    local code=$1 words=$2
    shift 2
    expect "$code" "$words" "${train[@]}" -o "$tmp/no" "${settings[@]}" --steps 1 "$@"
    check "$words: nothing is left" test ! -e "$tmp/no"
}
simulate() { "$gen" radar simulate -o "$tmp/$1" -q "${@:2}"; }
simulate one.nc --frames 1 --height 64 --width 128
simulate short.nc --frames 5 --height 64 --width 128
simulate small.nc --frames 9 --height 24 --width 128
simulate narrow.nc --frames 9 --height 64 --width 48
simulate hourly.nc --frames 9 --height 64 --width 128 --step 3600
simulate dry.nc --frames 9 --height 64 --width 128 --cover 0.001
simulate missing.nc --frames 9 --height 64 --width 128 --range 1
mkdir "$tmp/empty"
refused 2 "on what? give --data DIR"
refused 3 "No such file" --data "$tmp/absent"
refused 3 "holds no radar file" --data "$tmp/empty"
refused 3 "the longest has 1 frame" --data "$tmp/one.nc"
refused 3 "the longest has 5 frames, 6 are needed" --data "$tmp/short.nc"
refused 3 "of 24 x 128 cells, a sample needs" --data "$tmp/small.nc"
refused 3 "too few to hold out" --data "$tmp/narrow.nc"
refused 3 "frames 60 min apart, expected about 5" --data "$tmp/data" "$tmp/hourly.nc"
refused 3 "is dry" --data "$tmp/dry.nc"
refused 3 "missing" --data "$tmp/missing.nc"
refused 2 "unknown option 'foo'" --data "$tmp/data" --set foo=1
refused 2 "--set-d: 'foo' is not NAME=VALUE" --data "$tmp/data" --set-d foo
refused 2 "expected a multiple of 32" --data "$tmp/data" --crop 40
refused 2 "expected a divisor of the batch" --data "$tmp/data" --pieces 3
expect 2 "for how long" train "$tmp/no"

# ---- damaged files among good ones
cp -r "$tmp/data" "$tmp/mixed"
head -c 3000 "$tmp/data/data1.nc" >"$tmp/mixed/cut.nc"
head -c 5000 /dev/urandom >"$tmp/mixed/random.nc"
: >"$tmp/mixed/empty.nc"
{ printf '\211HDF\r\n\032\n'; head -c 3000 /dev/urandom; } >"$tmp/mixed/bad.h5"
expect 0 "left out" "${train[@]}" --data "$tmp/mixed" -o "$tmp/mixed-run" "${settings[@]}" --steps 1
for name in cut.nc empty.nc bad.h5; do
    check "a warning names $name" grep -q "warning:.*$name" "$tmp/stderr"
done

# ---- folders
expect 2 "is there: go on with --resume, or train in another folder" train "$tmp/whole" --steps 5
expect 2 "is there: go on with --resume" train "$tmp/whole" --steps 5 --batch 4
expect 4 "its configuration is another one" train "$tmp/whole" --steps 5 --resume --batch 4
expect 4 "its configuration is another one" train "$tmp/whole" --steps 5 --resume --width 0.1
check "the run that was there is as it was" test "$(curve "$tmp/whole")" = "$(curve "$tmp/parts")"
echo file >"$tmp/file"
expect 2 "is there and no folder" train "$tmp/file" --steps 1
check "the file is as it was" test "$(cat "$tmp/file")" = file
expect 1 "cannot make folder" train "$tmp/absent/run" --steps 1
if [ "$(id -u)" = 0 ]; then
    skip "a folder that cannot be written: root may"
else
    mkdir "$tmp/closed" && chmod a-w "$tmp/closed"
    expect 1 "cannot write there" train "$tmp/closed" --steps 1
fi
mkdir "$tmp/mine" && cp "$tmp/whole/model.safetensors" "$tmp/mine/model.safetensors"
expect 2 "model.safetensors is there" train "$tmp/mine" --steps 1

# ---- two at a time, and signals
# wait_for FILE WORDS
wait_for() {
    for _ in $(seq 600); do
        grep -qF -- "$2" "$1" 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}
for signal in INT TERM; do
    run=$tmp/stopped-$signal
    set -m # background jobs of a shell without it ignore SIGINT
    "${train[@]}" --data "$tmp/data" -o "$run" "${settings[@]}" --steps 0 --time-limit 2h \
        --validate-every 100000 >"$tmp/stopped" 2>/dev/null </dev/null &
    pid=$!
    set +m
    wait_for "$run/log.jsonl" '"step":2,'
    if [ $signal = INT ]; then
        expect 1 "" train "$run" --steps 5 --resume
        check "a second run names the first" grep -q "process $pid" "$tmp/stderr"
    fi
    kill -s $signal "$pid"
    wait $pid
    got=$?
    check "$signal ends with $((128 + $(kill -l $signal)))" test $got = $((128 + $(kill -l $signal)))
    check "$signal: how to go on" grep -q -- '--resume goes on' "$tmp/stopped"
    check "$signal is in the log" event "$run" interrupted
    step=$(sed 's/step-0*//' "$run/checkpoints/LATEST")
    check "$signal: all steps are saved" test "$(curve "$run" | wc -l)" = "$step"
    expect 0 "" train "$run" --steps $((step + 1)) --resume --validate-every 100000
    check "$signal: it goes on" test "$(curve "$run" | wc -l)" = $((step + 1))
done
check "it begins as the others did" test "$(curve "$run" | head -4)" = "$(curve "$tmp/whole")"
# Nobody reads what it says: it goes on to its end.
check "a reader that goes ends nothing" eval \
    "train '$tmp/piped' --steps 2 --validate-every 1 --batch 4 2>&1 >/dev/null | true; wait_for '$tmp/piped/log.jsonl' done"

# ---- damage
damaged() { rm -rf "$tmp/damaged" && cp -r "$tmp/whole" "$tmp/damaged"; }
damaged
truncate -s -100 "$tmp/damaged/checkpoints/step-00000004/tensors.safetensors"
head -c -40 "$tmp/whole/log.jsonl" >"$tmp/damaged/log.jsonl"
expect 0 "passed over step-00000004" train "$tmp/damaged" --steps 5 --resume --validate-every 2
check "the log says so" event "$tmp/damaged" "passed over"
check "the older checkpoint leads to the same" \
    test "$(curve "$tmp/damaged" | head -4)" = "$(curve "$tmp/whole")"
check "only the line that was cut is lost" \
    test "$(grep -cvE '^\{.*\}$' "$tmp/damaged/log.jsonl")" = 1
expect 0 "" "$gen" train report "$tmp/damaged" --force
damaged
for file in "$tmp"/damaged/checkpoints/step-*/tensors.safetensors; do printf X | dd of="$file" seek=5000 bs=1 conv=notrunc 2>/dev/null; done
expect 4 "no checkpoint can be used" train "$tmp/damaged" --steps 5 --resume
expect 2 "is there" train "$tmp/damaged" --steps 5
check "damaged checkpoints are not removed" test -d "$tmp/damaged/checkpoints/step-00000004"

# ---- NaN: a weight of the model to begin with
cp "$tmp/from/model.safetensors" "$tmp/nan.safetensors"
size=$(stat -c %s "$tmp/nan.safetensors")
for _ in $(seq 64); do printf '\300\177'; done |
    dd of="$tmp/nan.safetensors" seek=$((size - 128)) bs=1 conv=notrunc 2>/dev/null
nan() { init "$@" --init "$tmp/nan.safetensors" --validate-crops 0 --steps 3 --patience 2; }
expect 6 "step 0, sample data" nan "$tmp/nan1" --on-nan stop
check "the sentence names the value" grep -qE '(loss of|gradient of) .* is -?nan' "$tmp/stderr"
expect 6 "2 steps in a row were skipped" nan "$tmp/nan2" --on-nan skip
check "skip: events" test "$(grep -c '"what":"skip"' "$tmp/nan2/log.jsonl")" = 2
expect 6 "2 rollbacks without a checkpoint between them" nan "$tmp/nan3" --on-nan rollback
check "rollback: events" test "$(grep -c '"what":"rollback"' "$tmp/nan3/log.jsonl")" = 2

# ---- a full disk: a limit on the size of files is one for each
damaged
(
    ulimit -f 100
    train "$tmp/damaged" --steps 6 --validate-every 2 --resume >"$tmp/stdout" 2>"$tmp/stderr"
)
check "a disk that is full at the end: exit 5" test $? = 5
check "a warning says what could not be saved" grep -q 'the run goes on and tries again' "$tmp/stderr"
check "the sentence names the step" grep -q 'step 6 could not be saved' "$tmp/stderr"
check "the log says so" event "$tmp/damaged" unsaved
check "the checkpoints before are whole" eval \
    "(cd '$tmp/damaged/checkpoints/step-00000004' && sha256sum -c --quiet SHA256SUMS)"
expect 0 "" train "$tmp/damaged" --steps 6 --validate-every 2 --resume
check "with room again it goes on" test "$(cat "$tmp/damaged/checkpoints/LATEST")" = step-00000006
check "nothing half written is left" no_litter "$tmp/damaged" best.safetensors checkpoints lock log.jsonl \
    model.safetensors report run.json samples
