#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Folders of radar files: by content, by pattern, as deep as the pattern goes; times from names; gaps.
. tests/cli/lib.bash
needs_weather
feed=$tmp/feed
mkdir -p "$feed" "$tmp/deep/2026/01/01" "$tmp/grey"

for minute in 00 05 10 15; do
    "$gen" radar simulate --seed 1 --frames 1 --height 64 --width 64 \
        --start "2026-01-01T00:$minute" -o "$feed/2026010100$minute.nc"
done
echo "no radar" >"$feed/README"
echo "hidden" >"$feed/.hidden.nc"
cp "$feed/202601010000.nc" "$feed/.also.nc"

frames() { # how many frames the last JSON tells
    grep -oF '"frames":'"$1" "$tmp/stdout" >/dev/null
}
expect 0 "" "$gen" radar info --json "$feed"
check "a folder's radar files, whatever their names" frames 4
mv "$feed/202601010005.nc" "$feed/five"
expect 0 "" "$gen" radar info --json "$feed"
check "content counts, not the name" frames 4
expect 0 "" "$gen" radar info --json --pattern '%Y%m%d%H%M.nc' --fill-gap missing "$feed"
check "a pattern selects: the file without a name is a gap" frames 4
expect 3 "frames are missing between" "$gen" radar info --pattern '%Y%m%d%H%M.nc' "$feed"
expect 0 "" "$gen" radar info --json --pattern '2026*' --fill-gap advect "$feed"
check "a gap is advected" grep -qF '1 missing frame advected' "$tmp/stdout"
expect 0 "frame 2026-01-01T00:05:00Z is missing: it is advected from its neighbours" \
    "$gen" nowcast --pattern '%Y%m%d%H%M.nc' --fill-gap advect "$feed" --lead 10 -o "$tmp/f.nc"
if command -v ncdump >/dev/null; then
    ncdump -h "$tmp/f.nc" >"$tmp/header"
    check "the forecast says so" grep -qF '; 1 missing frame advected' "$tmp/header"
else
    skip "ncdump is not installed"
fi
expect 3 "holds no file that matches '%Y%m%d.nc'" "$gen" radar info --pattern '%Y%m%d.nc' "$feed"
expect 2 "'%Q' is none of %Y" "$gen" radar info --pattern '%Q.nc' "$feed"
expect 2 "tells no date" "$gen" radar info --pattern '%H%M.nc' "$feed"

# As deep as the pattern.
cp "$feed/202601010010.nc" "$tmp/deep/2026/01/01/0010.nc"
cp "$feed/202601010015.nc" "$tmp/deep/2026/01/01/0015.nc"
expect 3 "holds no radar file" "$gen" radar info "$tmp/deep"
expect 0 "" "$gen" radar info --json --pattern '%Y/%m/%d/%H%M.nc' "$tmp/deep"
check "folders by date" frames 2
mv "$tmp/deep/2026/01/01/0015.nc" "$tmp/deep/2026/01/01/0045.nc"
expect 0 "says 2026-01-01T00:15:00Z, but its name 2026-01-01T00:45:00Z: the file's own time is taken" \
    "$gen" radar info --pattern '%Y/%m/%d/%H%M.nc' "$tmp/deep"

expect 0 "" "$gen" radar info --json --fill-gap advect "$feed"
cp "$tmp/stdout" "$tmp/trusted"
expect 0 "" "$gen" radar info --json --fill-gap advect --untrusted "$feed"
check "untrusted files say the same" cmp "$tmp/stdout" "$tmp/trusted"

# Files that tell no time.
for minute in 00 05; do
    { printf 'P5\n4 4\n255\n'; head -c 16 /dev/zero | tr '\0' "$minute"; } >"$tmp/grey/20260101_00$minute.pgm"
done
expect 3 "does not say when it was measured: give a pattern" "$gen" radar info --units mm/h "$tmp/grey"
expect 0 "" "$gen" radar info --json --units mm/h --pattern '%Y%m%d_%H%M.pgm' "$tmp/grey"
check "names tell the time" grep -qF '"2026-01-01T00:05:00Z"' "$tmp/stdout"

: >"$feed/202601010020.nc"
expect 0 "202601010020.nc' is empty: this file is left out" "$gen" radar info "$feed"
expect 3 "is empty" "$gen" radar info "$feed/202601010020.nc"
