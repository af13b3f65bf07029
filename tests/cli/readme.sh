#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The commands in README.md print what README.md says.
. tests/cli/lib.bash
needs_weather
unset GEN_MODELS # as a reader has it
root=$PWD
mkdir "$tmp/work"
cd "$tmp/work" || exit 1
ln -s "$root/examples" examples
ln -s "$B" build
sed -n '/^```console$/,/^```$/p' "$root/README.md" | grep -v '^```' >"$tmp/text"
while IFS= read -r line; do
    case $line in
    '$ '*)
        echo "$line"
        eval "${line#??}" 2>&1 </dev/null
        ;;
    esac
done <"$tmp/text" >"$tmp/found"
grep -v '^$' "$tmp/text" >"$tmp/expected"
check "README.md shows commands" test "$(grep -c '^\$ ' "$tmp/expected")" -ge 3
check "they print what it says" diff "$tmp/expected" "$tmp/found"
