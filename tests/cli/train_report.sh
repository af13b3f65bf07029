#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen train report on runs that nobody trained: what a log says, in text, JSON and pictures; logs that
# are being written, cut, or none; outputs that are in the way.
. tests/cli/lib.bash
needs_weather

# make_log STEPS: steps 1 to STEPS, a validation every 100; D falls, one loss is a spike.
make_log() {
    awk -v n="$1" 'BEGIN {
        print "{\"kind\":\"start\",\"time\":\"2026-11-23T12:00:00Z\",\"step\":0,\"resumed\":false}"
        for (s = 1; s <= n; s++) {
            noise = (s * 7919 % 101) / 101 - 0.5
            printf "{\"kind\":\"step\",\"step\":%d,\"seconds\":%g,\"step_seconds\":0.5,\"losses\":" \
                "{\"D\":%g,\"G\":%g},\"scores\":{\"real\":%g,\"generated\":%g},\"rates\":{\"D\":2e-4,\"G\":5e-5}}\n",
                s, s * 0.5, 1 + exp(-s / 200) + 0.3 * noise, s == 77 ? 1e6 : 2 + noise,
                0.5 + noise, -0.5 + noise
            if (s % 100 == 0)
                printf "{\"kind\":\"validation\",\"step\":%d,\"scores\":{\"crps\":%g,\"spread_skill\":0.8}," \
                    "\"leads_min\":[5,10,15],\"crps\":[%g,%g,null],\"baselines\":{\"persistence\":[0.4,0.5,0.6]," \
                    "\"advection\":[0.2,0.3,null]},\"wavelength_px\":[64,32,16,8,4],\"psd_ratio\":[1.1,0.9,0.8,0.7,0.4]}\n",
                    s, s == 200 ? 0.3 : 0.4, s == 200 ? 0.2 : 0.3, s == 200 ? 0.4 : 0.5
        }
        printf "{\"kind\":\"event\",\"step\":150,\"what\":\"skip\",\"text\":\"step 150, sample a.nc: loss of G is nan\"}\n"
        printf "{\"kind\":\"event\",\"step\":200,\"what\":\"checkpoint\",\"text\":\"red \\u001b[31mtext\"}\n"
        printf "{\"kind\":\"event\",\"step\":300,\"what\":\"checkpoint\"}\n"
    }'
}

# A number repeated as float32: floats BYTES COUNT.
floats() { for _ in $(seq "$2"); do printf "$1"; done; }
dry='\0\0\0\0' two='\0\0\0\100' eight='\0\0\0\101' missing='\0\0\300\177'

# make_sample FILE: f32 [3,4,2,2]: observed 2 mm/h; members 0 and 8, one cell missing in every frame.
make_sample() {
    printf '\223NUMPY\1\0v\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 2, 2), }" >"$1"
    {
        floats "$two" 16
        for _ in 1 2 3 4; do floats "$dry" 3; printf "$missing"; done
        floats "$eight" 16
    } >>"$1"
}

# make_run FOLDER STEPS
make_run() {
    mkdir -p "$1/samples"
    echo '{"network":"dgmr","seed":1,"context":1,"nested":{"a":1},"lr":2e-4,"bf16":true}' >"$1/run.json"
    make_log "$2" >"$1/log.jsonl"
    make_sample "$1/samples/step-00000300.npy"
    make_sample "$1/samples/step-00000200.npy"
    make_sample "$1/samples/step-00000100.npy"
}

make_run "$tmp/run" 300
run=("$gen" train report "$tmp/run")
all="losses.png scores.png validation.png samples-00000300.png samples-00000200.png"

# ---- text
expect 0 "" "${run[@]}"
cp "$tmp/stdout" "$tmp/text"
says() { check "the summary says '$1'" grep -qF -- "$1" "$tmp/text"; }
says "network dgmr, seed 1, context 1, lr 0.0002, bf16 yes"
says "300 in 2.5 min, 0.5 s a step, lately 0.5; since 2026-11-23T12:00:00Z"
says "step 300: crps 0.4, spread_skill 0.8; CRPS of persistence 0.5, advection 0.25"
says "best        step 200: crps 0.3"
says "skip 1, checkpoint 2"
says "150 skip: step 150, sample a.nc: loss of G is nan"
says "200 checkpoint: red ?[31mtext"
check "a spike does not reach the losses of lately" grep -qE 'losses +D 1.2[0-9]*, G 2' "$tmp/text"
check "no control character" test -z "$(tr -d '\n\40-\176' <"$tmp/text")"
check "its lines fit" test -z "$(grep -E '^.{101}' "$tmp/text" | grep -v '^pictures')"
# shellcheck disable=SC2086
check "the pictures are there, nothing else" no_litter "$tmp/run/report" $all
for name in $all; do
    check "$name is a PNG" test "$(head -c 4 "$tmp/run/report/$name" | tail -c 3)" = PNG
done
check "a picture tells the command" grep -qa "gen train report" "$tmp/run/report/losses.png"

# ---- the sample: 2 observed, 0 and 8 generated, mean 4, the cell that one lacks
pixel() { ffmpeg -v error -i "$tmp/run/report/$1" -vf "crop=1:1:$2:$3" -f rawvideo -pix_fmt rgb24 - | od -An -tx1 | tr -d ' '; }
if command -v ffmpeg >/dev/null; then
    column() { for y in 200 500 800 1130; do pixel samples-00000300.png "$1" "$y"; done | xargs; }
    check "rows observed, members, mean" test "$(column 100)" = "2463b4 ffffff f5e23d 1f9e52"
    missing_there() { pixel samples-00000300.png 280 640; pixel samples-00000300.png 280 1270; }
    check "a cell that a member lacks is missing in it and the mean" \
        test "$(missing_there | xargs)" = "c9c9c9 c9c9c9"
else
    skip "ffmpeg is not installed"
fi

# ---- outputs that are in the way; other folders; JSON
expect 2 "losses.png: exists" "${run[@]}"
expect 0 "" "${run[@]}" --force --json
for word in '"config":{"network":"dgmr"' '"steps":300,' '"seconds_in_steps":150,' '"step_seconds":0.5,' \
    '"validation":{"step":300,"scores":{"crps":0.4,' '"best":{"step":200,"scores":{"crps":0.3,' \
    '"baselines":{"persistence":0.5,"advection":0.25}' '"events":{"skip":1,"checkpoint":2}' \
    '"log_cut":false' '"samples-00000200.png"'; do
    check "JSON says $word" grep -qF "$word" "$tmp/stdout"
done
check "JSON is one line without NaN" test "$(wc -l <"$tmp/stdout")" = 1 -a "$(grep -ci 'nan[^"]*,' "$tmp/stdout")" = 0
if command -v python3 >/dev/null; then
    check "JSON is JSON" python3 -m json.tool "$tmp/stdout" /dev/null
else
    skip "python3 is not installed"
fi
expect 0 "" "${run[@]}" -o "$tmp/elsewhere"
# shellcheck disable=SC2086
check "-o: the same names" no_litter "$tmp/elsewhere" $all
touch "$tmp/file"
expect 2 "is there and no folder" "${run[@]}" -o "$tmp/file"
expect 1 "cannot make folder" "${run[@]}" -o "$tmp/no/such/folder"
(
    ulimit -f 8
    trap '' XFSZ
    "${run[@]}" -o "$tmp/full" 2>"$tmp/stderr" >/dev/null
)
check "full disk is exit 5" test $? = 5 -a "$(grep -c '^gen: ' "$tmp/stderr")" = 1
check "and leaves nothing" test ! -e "$tmp/full"

# ---- a run that goes on: the last line is being written; steps that are done again
printf '{"kind":"step","st' >>"$tmp/run/log.jsonl"
expect 0 "" "${run[@]}" --force
check "a last line that is not whole is pointed out" grep -qF "is not whole" "$tmp/stdout"
{
    echo
    echo '{"kind":"start","time":"2026-11-23T13:00:00Z","step":200,"resumed":true}'
    echo '{"kind":"step","step":201,"step_seconds":1,"losses":{"D":7,"new":1}}'
} >>"$tmp/run/log.jsonl"
expect 0 "" "${run[@]}" --force
check "a resumed run goes on from its step" grep -qF "201 in 101 s, 0.502 s a step, lately 0.5" "$tmp/stdout"
check "and says so" grep -qF "resumed 1 time" "$tmp/stdout"
tr -s ' \n' ' ' <"$tmp/stdout" >"$tmp/unwrapped"
check "the line that was cut is named" grep -qF "log.jsonl', line 308: JSON" "$tmp/unwrapped"
check "what it did not come to again is gone" grep -qE '^best +the newest' "$tmp/stdout"

# ---- less than all
few() { # few FOLDER: one that has no more than a line of a log
    rm -rf "$tmp/few"
    mkdir "$tmp/few"
    printf '%s\n' "$@" >"$tmp/few/log.jsonl"
}
few '{"kind":"step","step":1}'
expect 0 "" "$gen" train report "$tmp/few"
check "a step without anything makes one page" no_litter "$tmp/few/report" losses.png
few '{"kind":"validation","step":1,"crps":[null],"psd_ratio":[1,2],"wavelength_px":[8]}' # lists that do not match
expect 0 "" "$gen" train report "$tmp/few" --json
check "no score is null" grep -qF '"best":null' "$tmp/stdout"
check "a validation alone makes one page" no_litter "$tmp/few/report" validation.png
few '{"kind":"step","step":1}' '{"kind":"st' '{"kind":"step","step":2}' 'no JSON' '{"kind":"step","step":3}'
expect 0 "" "$gen" train report "$tmp/few"
check "broken lines are passed over, and it says so" grep -qF "passed over 2 lines" "$tmp/stdout"
check "the steps behind them count" grep -qE '^steps +3' "$tmp/stdout"
expect 0 "" "$gen" train report "$tmp/few" --force --json
check "JSON counts them" grep -qF '"log_broken_lines":2,' "$tmp/stdout"
few '{"kind":"event","step":1,"what":"interrupted"}'
expect 0 "" "$gen" train report "$tmp/few"
check "an event alone makes no picture" test "$(grep -c '^pictures *none' "$tmp/stdout")" = 1 -a ! -e "$tmp/few/report"

# How far beyond the edge a spike lies does not change the curves.
spike_of() { # spike_of VALUE: sum of the picture
    rm -rf "$tmp/few"
    mkdir "$tmp/few"
    make_log 300 | sed "s/1e+06/$1/" >"$tmp/few/log.jsonl"
    "$gen" train report "$tmp/few" >/dev/null
    cksum <"$tmp/few/report/losses.png"
}
check "the log has a spike" grep -q '"G":1e+06' "$tmp/run/log.jsonl"
check "a spike is drawn at the edge" test "$(spike_of 1e6)" = "$(spike_of 1e9)"
check "what is no spike is not" test "$(spike_of 2.1)" != "$(spike_of 2.4)"

# Times above the maps of a sample: of the newest validation, where it has as many lead times.
sample_with() { # sample_with LEADS: sum of the picture
    few '{"kind":"validation","step":1,"leads_min":['"$1"']}'
    echo '{"context":1}' >"$tmp/few/run.json"
    mkdir "$tmp/few/samples"
    make_sample "$tmp/few/samples/step-00000001.npy"
    "$gen" train report "$tmp/few" >/dev/null
    cksum <"$tmp/few/report/samples-00000001.png"
}
check "lead times are those of the validation" test "$(sample_with 5,10,15)" != "$(sample_with 5,10,20)"
check "those of another number are not shown" test "$(sample_with 5,10)" = "$(sample_with 5,10,15,20)"

# A roll back is marked in the curves, other events are not.
losses_with() { # losses_with EVENT: sum of the picture, whose metadata have the command
    few '{"kind":"step","step":1,"losses":{"D":1}}' '{"kind":"step","step":9,"losses":{"D":2}}' \
        '{"kind":"event","step":5,"what":"'"$1"'"}'
    "$gen" train report "$tmp/few" >/dev/null
    cksum <"$tmp/few/report/losses.png"
}
plain=$(losses_with checkpoint)
check "a skipped step is not marked" test "$(losses_with skip)" = "$plain"
check "a rollback is marked" test "$(losses_with rollback)" != "$plain"
check "a repair is marked" test "$(losses_with repair)" != "$plain"

# ---- what is no run, or a broken one
mkdir "$tmp/empty"
expect 2 "" "$gen" train report
expect 3 "found no log.jsonl, expected the folder of a training" "$gen" train report "$tmp/empty"
expect 3 "found no log.jsonl" "$gen" train report "$tmp/none"
expect 3 "is no folder" "$gen" train report "$tmp/file"
few '{"kind":"start","step":0}'
expect 3 "has no step yet" "$gen" train report "$tmp/few"
few 'no JSON' '{"kind":"start","step":0}'
expect 3 "log.jsonl', line 1: JSON" "$gen" train report "$tmp/few"
few '{"kind":"step","step":"one"}'
expect 3 "line 1: JSON key 'step': found a string, expected an integer" "$gen" train report "$tmp/few"
few '{"kind":"step","step":1}'
echo '[1]' >"$tmp/few/run.json"
expect 3 "run.json': found a value, expected a JSON object" "$gen" train report "$tmp/few"
echo '{"a":' >"$tmp/few/run.json"
expect 3 "run.json': JSON, line" "$gen" train report "$tmp/few"
rm "$tmp/few/run.json"
check "none of them left a folder" no_litter "$tmp/few" log.jsonl

# A damaged sample costs itself only.
mkdir "$tmp/few/samples"
make_sample "$tmp/few/samples/step-00000001.npy"
truncate -s 200 "$tmp/few/samples/step-00000001.npy"
expect 0 "no samples-00000001.png: " "$gen" train report "$tmp/few"
check "the curves are drawn" no_litter "$tmp/few/report" losses.png
check "the summary does not name it" test "$(grep -c samples "$tmp/stdout")" = 0
printf '\223NUMPY\1\0v\0%-117s\n\0\0\0\0' "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" \
    >"$tmp/few/samples/step-00000001.npy"
expect 0 "found f32 [1], expected f32 [rows,frames,H,W]" "$gen" train report "$tmp/few" --force
