#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The frame of the program: verbs, options, help, version, closed and full outputs.
. tests/cli/lib.bash

expect 2 "a verb is missing" "$gen"
expect 2 "did you mean 'gen info'" "$gen" inof
expect 2 "unknown command 'gen xyzzy'" "$gen" xyzzy
expect 2 "stands before the verb" "$gen" --jsn
expect 2 "did you mean '--json'" "$gen" info --jsn
expect 2 "unknown option '-Z'" "$gen" info -Z
expect 2 "unexpected argument 'x'" "$gen" info x
expect 2 "unexpected argument '--json'" "$gen" info -- --json
expect 2 "is not yes or no" "$gen" info --json=perhaps
expect 0 "" "$gen" info --json=no -qv
expect 0 "" "$gen" --version
check "version is a number" grep -qE '^gen [0-9]+\.[0-9]+\.[0-9]+$' "$tmp/stdout"

# Every verb that --help lists has a help of its own, with examples.
expect 0 "" "$gen" --help
check "its lines fit" test -z "$(grep -E '^.{97}' "$tmp/stdout")"
grep -oE '^  gen [a-z]+( [a-z]+)?  ' "$tmp/stdout" | sed 's/^  gen //' >"$tmp/verbs"
check "verbs are listed" test -s "$tmp/verbs"
while read -r verb; do
    # shellcheck disable=SC2086
    "$gen" $verb --help >"$tmp/help" 2>&1
    check "help of $verb" test $? = 0 -a -n "$(grep '^Usage: gen ' "$tmp/help")" \
        -a -n "$(grep '^Examples:' "$tmp/help")"
    check "lines of the help of $verb are short" test -z "$(awk 'length > 100' "$tmp/help")"
    # shellcheck disable=SC2086
    expect 2 "unknown option '--no-such-option'" "$gen" $verb --no-such-option
done <"$tmp/verbs"

# A reader that leaves is no error; a full disk is.
"$gen" --help | head -c 1 >/dev/null
check "closed pipe: exit 0" test "${PIPESTATUS[0]}" = 0
"$gen" info --json | true
check "closed pipe before the first byte: exit 0" test "${PIPESTATUS[0]}" = 0
if [ -w /dev/full ]; then
    "$gen" info >/dev/full 2>"$tmp/stderr"
    check "full disk: exit 5" test $? = 5 -a "$(grep -c '^gen: cannot write' "$tmp/stderr")" = 1
else
    skip "full disk: no /dev/full"
fi
