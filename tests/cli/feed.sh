#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen nowcast --latest on a simulated feed that is late, stops, repeats itself, sends half-written
# files, files out of order and files of the future; that is started twice, interrupted, too slow,
# or without room for its output. Every run ends with an exit code, one sentence and a status.
# No clock is asked: --now says what time it is.
. tests/cli/lib.bash
needs_weather
feed=$tmp/feed out=$tmp/out status=$tmp/status.json
mkdir "$feed" "$out"

arrive() { # MINUTE [SEED [NAME]]: the frame of that minute
    "$gen" radar simulate --seed "${2:-$1}" --frames 1 --height 64 --width 64 \
        --start "2026-01-01T00:$1" --force -o "$feed/${3:-rain_2026010100$1.nc}"
}
# live NOW OPTION...: the run that a timer would start.
live() {
    local now=$1
    shift
    "$gen" nowcast "$feed" --latest --now "2026-01-01T$now" --max-age 15min --lead 15 \
        --status "$status" -o "$out/n_%Y%m%dT%H%M.nc" "$@"
}
says() { # NAME TEXT: the status holds the text
    check "$1" grep -qF -- "$2" "$status"
}

# ---- as it should be
for minute in 00 05 10 15; do arrive $minute; done
expect 0 "" live 00:17
check "named by the newest frame" test -s "$out/n_20260101T0015.nc"
says "status: ok" '"status":"ok","exit_code":0,"message":null'
says "status: times" '"reference_time":"2026-01-01T00:15:00Z","age_seconds":120'
says "status: members" '"members_planned":1,"members_written":1'
says "status: method and no warnings" '"method_used":"advection"'
says "status: no warnings" '"warnings":[]'
before=$(stat -c %i "$out/n_20260101T0015.nc")
expect 0 "" live 00:18
check "nothing new: said so" grep -q "nothing new" "$tmp/stdout"
expect 0 "" live 00:18 --json
check "nothing new: as JSON" grep -qF '"nothing_new":true' "$tmp/stdout"
check "nothing new: nothing was written" test "$before" = "$(stat -c %i "$out/n_20260101T0015.nc")"
says "status: unchanged" '"status":"unchanged","exit_code":0'
arrive 20
expect 0 "" live 00:22 --pattern 'rain_%Y%m%d%H%M.nc'
check "the next frame, the next forecast" test -s "$out/n_20260101T0020.nc"

# ---- late, and stopped
expect 0 "" live 00:34
expect 3 "the newest frames end at 2026-01-01T00:20:00Z, 16 min before 2026-01-01T00:36:00Z: older" \
    live 00:36
says "status: stale" '"status":"stale","exit_code":3,"message":"the newest frames end at'
says "status: how old" '"age_seconds":960'

# ---- half-written files
arrive 25
size=$(stat -c %s "$feed/rain_202601010025.nc")
for part in 1 5 7; do
    arrive 25
    truncate -s $((size * part / 8)) "$feed/rain_202601010025.nc"
    expect 0 "rain_202601010025.nc" live 00:27
    check "cut at $part/8: left out, nothing new before it" grep -q "nothing new" "$tmp/stdout"
done
says "status: the warning" 'this file is left out'
: >"$feed/rain_202601010025.nc"
expect 0 "rain_202601010025.nc' is empty" live 00:27
arrive 25
touch -d "2026-01-01T00:26:59Z" "$feed/rain_202601010025.nc"
expect 0 "was changed 1 s ago and may still grow" live 00:27
check "changed just now: left out" test ! -e "$out/n_20260101T0025.nc"
expect 0 "" live 00:28
check "settled: taken" test -s "$out/n_20260101T0025.nc"
mkdir "$tmp/young"
cp "$feed/rain_202601010025.nc" "$tmp/young"
touch -d "2026-01-01T00:26:59Z" "$tmp/young/rain_202601010025.nc"
expect 3 "all 1 files were changed within the last 3 s" "$gen" nowcast "$tmp/young" --latest \
    --now 2026-01-01T00:27 --status "$status" -o "$out/x.nc"
says "status: failed" '"status":"failed","exit_code":3'

# ---- out of order, with a gap, again, and from the future
arrive 35
expect 0 "frames are missing before 2026-01-01T00:35:00Z: those until 2026-01-01T00:25:00Z" live 00:36
check "the newest complete set is taken" grep -q "nothing new" "$tmp/stdout"
expect 0 "it is advected from its neighbours" live 00:36 --fill-gap advect -o "$out/filled.nc"
arrive 30
expect 0 "" live 00:37
check "the late frame came: the set is complete" test -s "$out/n_20260101T0035.nc"
cp "$feed/rain_202601010035.nc" "$feed/again.nc"
expect 0 "time 2026-01-01T00:35:00Z is there twice" live 00:37 -o "$out/again.nc"
rm "$feed/again.nc"
arrive 40 35 # the picture of 00:35 again
expect 0 "frame 2026-01-01T00:40:00Z is the same as the one before: is the radar stuck?" live 00:42
arrive 40
arrive 59
expect 0 "1 frame is later than 2026-01-01T00:44:00Z, up to 2026-01-01T00:59:00Z: left out" \
    live 00:42 -o "$out/future.nc" --pattern 'rain_%Y%m%d%H%M.nc'
expect 3 "no frame until 2026-01-01T00:02:00Z" "$gen" nowcast "$feed/rain_202601010040.nc" \
    --latest --now 2026-01-01T00:00 --status "$status" -o "$out/x.nc"
rm "$feed/rain_202601010059.nc"

# ---- two at once
if command -v flock >/dev/null; then
    lock=$out/.n_%Y%m%dT%H%M.nc.lock
    check "the lock lies beside the output" grep -q '^process [0-9]* since 20' "$lock"
    rm -f "$out/n_20260101T0040.nc"
    expect 1 "another run holds '$lock': process " flock "$lock" "$gen" nowcast "$feed" --latest \
        --now 2026-01-01T00:42 --status "$status" -o "$out/n_%Y%m%dT%H%M.nc"
    says "status: busy" '"status":"busy","exit_code":1'
    expect 1 "another run holds '$tmp/mine'" flock "$tmp/mine" "$gen" nowcast "$feed" --latest \
        --lock "$tmp/mine" -o "$out/x.nc"
else
    skip "flock is not installed"
fi
echo "process 999999 since 2020-01-01T00:00:00Z" >"$tmp/stale.lock"
expect 0 "" live 00:42 --lock "$tmp/stale.lock" -o "$out/unlocked.nc"
expect 1 "cannot open the lock" live 00:42 --lock "$tmp/none/lock"

# ---- no room
rm -f "$out/n_20260101T0040.nc"
(
    ulimit -f 4
    trap '' XFSZ
    live 00:42 >/dev/null 2>"$tmp/stderr"
)
code=$?
check "full disk: exit 5 or 1, found $code" test $code = 5 -o $code = 1
check "full disk: one sentence" test "$(grep -c '^gen: ' "$tmp/stderr")" = 1
check "full disk: no output" test ! -e "$out/n_20260101T0040.nc"
says "status: full disk" '"status":"failed"'
expect 1 "" live 00:42 --lock "$tmp/l" -o "$tmp/none/n.nc"
if [ "$(id -u)" != 0 ]; then
    mkdir "$tmp/closed"
    chmod 500 "$tmp/closed"
    expect 1 "" live 00:42 --lock "$tmp/l" -o "$tmp/closed/n.nc"
    chmod 700 "$tmp/closed"
fi
expect 0 "the status is not written" live 00:42 --status "$tmp/none/status.json"

# ---- in time: a network that is too slow
"$gen" model new --arch dgmr --config width=0.1 --seed 3 -o "$tmp/m.safetensors"
network=(--method dgmr -m "$tmp/m.safetensors" --seed 1)
expect 0 "advection instead of dgmr, whose first member would have come after the deadline of 0.01s" \
    live 00:42 "${network[@]}" --members 4 --deadline 0.01s -o "$out/late.nc"
says "status: degraded" '"status":"degraded","exit_code":0,"message":"advection instead of dgmr'
says "status: what was planned and done" \
    '"method_planned":"dgmr","method_used":"advection","members_planned":4,"members_written":1'
# Each member is said to take 2000 s more: the first is given up while it is computed.
GEN_TEST_MEMBER_SECONDS=2000 expect 0 "whose first member would have come after the deadline of 1000s" \
    live 00:42 "${network[@]}" --members 4 --deadline 1000s -o "$out/slow.nc"
says "status: given up in the middle" '"method_used":"advection","members_planned":4,"members_written":1'
# The third would end after 5000 s.
GEN_TEST_MEMBER_SECONDS=2000 expect 0 "2 of 4 members: the others would have come after the deadline of 5000s" \
    live 00:42 "${network[@]}" --members 4 --deadline 5000s -o "$out/few.nc" --plot "$tmp/maps" \
    --mean --exceed 1 --at-point 52,5 --point-output "$tmp/series_%H%M.csv"
check "series are named like the output" test -s "$tmp/series_0040.csv"
says "status: fewer members" '"method_used":"dgmr","members_planned":4,"members_written":2'
GEN_TEST_MEMBER_SECONDS=2000 expect 0 "2 of 4 members: the others would have come after the deadline of 5000s" \
    live 00:42 --method steps --members 4 --deadline 5000s -o "$out/few_steps.nc"
expect 0 "advection instead of steps" live 00:42 --method steps --members 4 --deadline 0.01s -o "$out/late_steps.nc"
expect 0 "" live 00:42 "${network[@]}" --members 2 --deadline 1h -o "$out/all.nc"
says "status: in time" '"status":"ok"'
if command -v ncdump >/dev/null; then
    ncdump -h "$out/late.nc" >"$tmp/late"
    ncdump -h "$out/few.nc" >"$tmp/few"
    check "the file says who stood in" grep -q 'comment = "advection instead of dgmr' "$tmp/late"
    check "the source is what was used" grep -q 'source = .*method advection' "$tmp/late"
    check "the file says that members lack" grep -q 'comment = "2 of 4 members' "$tmp/few"
    check "products are of the members that came" grep -q 'mean(' "$tmp/few"
    check "and holds the others" grep -q 'realization = UNLIMITED ; // (2 currently)' "$tmp/few"
    rain() { ncdump -v rain_rate "$1" | sed -n '/^data:/,$p' | cksum; }
    check "members do not depend on the deadline" test "$(rain "$out/few.nc")" = "$(rain "$out/all.nc")"
else
    skip "ncdump is not installed"
fi

# ---- interrupted in the middle
"$gen" nowcast "$feed" --latest --now 2026-01-01T00:42 --status "$status" "${network[@]}" \
    --members 90000 -o "$out/long.nc" >/dev/null 2>"$tmp/stderr" &
run=$!
for _ in $(seq 600); do # until it computes
    ls -A "$out" | grep -q '^\.gen-' && break
    sleep 0.05
done
kill -TERM $run
wait $run
code=$?
check "SIGTERM: exit 143, found $code" test $code = 143
check "SIGTERM: the output is absent" test ! -e "$out/long.nc"
says "status: interrupted" '"status":"interrupted","exit_code":143'

# ---- the units, as they are but for the places
sed "s,/usr/local/bin/gen,$gen,; s,/srv/radar,$feed,; s,/var/lib/nowcast,$out,g
    s,radar_\(.*\)h5,rain_\1nc,; s,^    --max-age,    --now 2026-01-01T00:42 --max-age," \
    examples/nowcast.service >"$tmp/nowcast.service"
cp examples/nowcast.timer "$tmp"
if command -v systemd-analyze >/dev/null; then
    check "systemd takes the units" systemd-analyze verify "$tmp/nowcast.service" "$tmp/nowcast.timer"
else
    skip "systemd-analyze is not installed"
fi
mapfile -t words < <(sed -n '/^ExecStart=/,/[^\\]$/p' "$tmp/nowcast.service" \
    | sed 's/^ExecStart=//; s/\\$//; s/%%/%/g' | xargs -n1)
rm -f "$out/nowcast_20260101T0040.nc"
expect 0 "" "${words[@]}"
check "the service makes a forecast" test -s "$out/nowcast_20260101T0040.nc"
line=$(sed -n 's,^    2-59/5 [*] [*] [*] [*] gen ,,p' README.md | sed 's/\\%/%/g')
line=${line//\/srv\/radar/$feed}
line=${line//\/var\/lib\/nowcast/$out}
eval "expect 3 'older than --max-age 15min' '$gen' $line"

# ---- mistakes
expect 2 "--max-age goes with --latest" "$gen" nowcast "$feed" --max-age 15min -o "$tmp/x.nc"
expect 2 "'15' is not a duration" live 00:42 --max-age 15
expect 2 "'soon' is not a duration" live 00:42 --deadline soon
expect 2 "exclude each other" live 00:42 --at 2026-01-01T00:40
expect 2 "would lie among the radar files" live 00:42 -o "$feed/n_%Y.nc"
expect 2 "'%Q' is none of %Y" live 00:42 -o "$out/%Q.nc"
arrive 45
expect 2 "exists" live 00:46 -o "$out/late.nc"
expect 0 "" live 00:46 -o "$out/late.nc" --force
rm "$out"/.*.lock "$out/status.json"
check "nothing else is left in the folder" test "$(ls -A "$out" | grep -vc '\.nc$')" = 0
