#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen radar plot: pictures and films as ffprobe and others see them, mistakes, and outputs that are
# whole or absent, also after a signal.
. tests/cli/lib.bash
needs_weather
mkdir "$tmp/out"
rain=examples/rain.nc
plot=("$gen" radar plot $rain)

# size FILE: "WIDTHxHEIGHT" of a PNG, from its header.
size() { od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'; }

# ---- pictures
expect 0 "" "${plot[@]}" -o "$tmp/out/one.png"
expect 0 "" "${plot[@]}" --frames 7 --columns 3 --size 100 -o "$tmp/out/seven.png"
check "seven maps in three columns and rows" test "$(size "$tmp/out/seven.png")" = 594x546
expect 0 "" "${plot[@]}" --frames 1000 --size 40 -o "$tmp/out/all.png"
check "no more maps than frames" test "$(size "$tmp/out/all.png")" = "$(
    "${plot[@]}" --frames 24 --size 40 -o "$tmp/out/24.png" && size "$tmp/out/24.png")"
check "the picture tells the command" grep -qa "gen radar plot examples/rain.nc --frames 7" "$tmp/out/seven.png"
expect 0 "" "${plot[@]}" --at 2026-01-01T00:00 -o "$tmp/out/first.png"
check "another time, another picture" test "$(cksum <"$tmp/out/one.png")" != "$(cksum <"$tmp/out/first.png")"

# ---- mistakes
expect 2 "where to?" "${plot[@]}"
expect 2 "ends in .png, .gif or .mp4" "${plot[@]}" -o "$tmp/out/x.pdf"
expect 2 "a film shows one map at a time" "${plot[@]}" --columns 2 -o "$tmp/out/x.gif"
expect 2 "is a picture, not a film" "${plot[@]}" --fps 3 -o "$tmp/out/x.png"
expect 2 "exists" "${plot[@]}" -o "$tmp/out/one.png"
expect 2 "make a picture of" "${plot[@]}" --size 16000 --frames 24 -o "$tmp/out/x.png"
expect 3 "no frame at" "${plot[@]}" --at 2026-01-01T00:01 -o "$tmp/out/x.gif"
check "pictures are whole, nothing else is there" no_litter "$tmp/out" one.png seven.png all.png 24.png first.png

# ---- several sources, and forecasts
"$gen" radar simulate --frames 1 --height 30 --width 80 -o "$tmp/wide.nc"
expect 0 "" "$gen" radar plot --each $rain "$tmp/wide.nc" --label one --label two --size 100 -o "$tmp/out/each.png"
check "two maps of two grids" test "$(size "$tmp/out/each.png")" = 434x344
expect 2 "expected --each" "${plot[@]}" --label one -o "$tmp/out/x.png"
expect 2 "a film shows one map" "$gen" radar plot --each $rain "$tmp/wide.nc" -o "$tmp/out/x.gif"
expect 3 "none.nc" "$gen" radar plot --each $rain "$tmp/none.nc" -o "$tmp/out/x.png"
rm "$tmp/out/each.png"

# pixel FILE X Y: "RRGGBB" there.
pixel() { ffmpeg -v error -i "$1" -vf "crop=1:1:$2:$3" -f rawvideo -pix_fmt rgb24 - | od -An -tx1 | tr -d ' '; }
if command -v ncgen >/dev/null && command -v ffmpeg >/dev/null; then
    ncgen -4 -o "$tmp/members.nc" tests/cli/members.cdl
    show() { "$gen" radar plot "$tmp/members.nc" --size 100 "$@" -o "$tmp/out/members.png" --force; }
    # The four cells of the first map, from the upper left.
    cells() { for xy in "70 98" "150 98" "70 176" "150 176"; do pixel "$tmp/out/members.png" $xy; done | xargs; }
    show --over 1
    check "shares of 0, 1, 2 and 4 of 4 members" test "$(cells)" = "ffffff d3d983 46a693 3d2f66"
    check "a cell that a member lacks is missing" test "$(pixel "$tmp/out/members.png" 310 176)" = c9c9c9
    show --mean
    check "means of 0, 0.85, 4.25 and 8 mm/h" test "$(cells)" = "ffffff 93c4ea 1f9e52 f5e23d"
    show --member 2
    check "member 2 alone" test "$(cells)" = "ffffff 2463b4 f5e23d f5e23d"
    check "lead times in two maps" test "$(size "$tmp/out/members.png")" = 434x364
    members=("$gen" radar plot "$tmp/members.nc" -o "$tmp/out/x.png")
    expect 2 "has members 0 to 3" "${members[@]}" --member 4
    expect 2 "expected one of them" "${members[@]}" --member 1 --mean
    expect 2 "not with a forecast" "${members[@]}" --member 1 --at 2026-01-01T00:00
    expect 2 "2 files, expected one forecast" "${members[@]}" $rain --mean
    rm "$tmp/out/members.png"
else
    skip "ncgen or ffmpeg is not installed"
fi

# ---- films
if ! "${plot[@]}" --frames 1 --size 40 -o "$tmp/out/x.gif" 2>"$tmp/stderr"; then
    expect 1 "films need FFmpeg" "${plot[@]}" --frames 1 --size 40 -o "$tmp/out/x.gif"
    skip "films: this build has no FFmpeg"
    exit 0
fi
rm "$tmp/out/x.gif"
for kind in gif mp4; do
    expect 0 "" "${plot[@]}" --frames 9 --fps 4 --size 101 -o "$tmp/out/film.$kind"
    check "$kind: nothing on stderr" test ! -s "$tmp/stderr"
    expect 2 "exists" "${plot[@]}" --frames 9 --size 101 -o "$tmp/out/film.$kind"
    expect 0 "" "${plot[@]}" -o "$tmp/out/all.$kind"
    check "$kind tells the command" grep -qa "gen radar plot examples/rain.nc --frames 9" "$tmp/out/film.$kind"
    if ! command -v ffprobe >/dev/null; then
        skip "ffprobe is not installed"
        continue
    fi
    probe() { ffprobe -v error -count_frames -show_entries \
        stream=codec_name,width,height,r_frame_rate,nb_read_frames,color_space -of csv=p=0 "$1"; }
    probe "$tmp/out/film.$kind" >"$tmp/probe"
    check "$kind: 9 frames, 4 a second, as ffprobe sees it" grep -qE '(^|,)4/1,9$' "$tmp/probe"
    probe "$tmp/out/all.$kind" >"$tmp/probe"
    check "$kind: all 24 frames at 6 a second" grep -qE '(^|,)6/1,24$' "$tmp/probe"
done
if command -v ffprobe >/dev/null; then
    check "mp4: even sides, bt709" grep -qE '^(h264|mpeg4),[0-9]*[02468],[0-9]*[02468],bt709,' "$tmp/probe"
    check "mp4: title" test "$(ffprobe -v error -show_entries format_tags=title -of csv=p=0 "$tmp/out/film.mp4")" = "Rain rate"
fi

# ---- the film of a forecast: 4 frames and 6 lead times
run=("$gen" nowcast $rain --lead 30 -q)
mkdir "$tmp/now"
expect 0 "" "${run[@]}" -o "$tmp/now/a.nc" --film "$tmp/now/a.gif"
if command -v ffprobe >/dev/null; then
    probe "$tmp/now/a.gif" >"$tmp/probe"
    check "the film has 10 frames" grep -qE '(^|,)6/1,10$' "$tmp/probe"
fi
expect 2 "exists" "${run[@]}" -o "$tmp/now/b.nc" --film "$tmp/now/a.gif"
expect 2 ".gif or .mp4" "${run[@]}" -o "$tmp/now/b.nc" --film "$tmp/now/b.png"
check "neither is written when one cannot be" no_litter "$tmp/now" a.nc a.gif

expect 2 "make a picture of" "${plot[@]}" --size 16384 -o "$tmp/out/x.mp4"
rm -r "$tmp/out"
mkdir "$tmp/out"

# A limit on file size stands for a full disk; SIGTERM comes while frames are drawn.
for kind in gif mp4; do
    (
        ulimit -f 8
        trap '' XFSZ
        "${plot[@]}" -o "$tmp/out/full.$kind" 2>"$tmp/stderr"
    )
    check "$kind: full disk is exit 5" test $? = 5
    check "$kind: full disk is one sentence" test "$(grep -c '^gen: ' "$tmp/stderr")" = 1
    "${plot[@]}" --size 2000 -o "$tmp/out/cut.$kind" 2>/dev/null &
    while [ -z "$(ls -A "$tmp/out")" ] && kill -0 $! 2>/dev/null; do sleep 0.05; done
    kill -TERM $!
    wait $!
    code=$?
    check "$kind: SIGTERM is exit 143, found $code" test $code = 143
    check "$kind: nothing is left behind" no_litter "$tmp/out"
done
