#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs test programs, fuzz corpora and command-line scripts, and ends with one line:
#     N passed, N failed, N skipped
# Usage: run.sh PROGRAM... -- FUZZ_PROGRAM... -- SCRIPT...
#
# A program is a cmocka program (counted by its [  PASSED  ] lines). A script prints "ok NAME",
# "not ok NAME" or "skip NAME" a line. A program that dies counts as one failure more.
set -u
export GEN_SHARED=${GEN_SHARED:-../shared}
export GEN_CACHE_DIR= # tests leave no plans of cuDNN's stand-in with the user's
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
passed=0 failed=0 skipped=0
bad=() left_out=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

count() { # PATTERN: sum of the numbers behind it
    sed -n "s/^$1 \([0-9][0-9]*\) test(s).*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'
}

run_unit() {
    local start=$SECONDS code
    "$1" >"$log" 2>&1
    code=$?
    local p f s
    p=$(count '\[  PASSED  \]')
    f=$(count '\[  FAILED  \]')
    s=$(count '\[  SKIPPED \]')
    passed=$((passed + p)) skipped=$((skipped + s))
    while read -r name; do left_out+=("$1: $name"); done < <(
        sed -n 's/^\[  SKIPPED \] \([A-Za-z_].*\)/\1/p' "$log" | sort -u)
    if [ "$code" != 0 ] || [ "$f" != 0 ]; then
        [ "$f" = 0 ] && f=1
        failed=$((failed + f))
        bad+=("$1 (exit $code)")
        grep -v '^\[ \( RUN  \|      OK\) ' "$log" | grep -v '^\[ RUN' | tail -40
    elif [ "$p" = 0 ] && [ "$s" = 0 ]; then
        passed=$((passed + 1)) # no cmocka program: its exit status is the verdict
    fi
    printf '%-36s %3d passed%s%s  %d s\n' "${1#*/tests/}" "$p" "${f:+$([ "$f" != 0 ] && echo ", $f failed")}" \
        "$([ "$s" != 0 ] && echo ", $s skipped")" $((SECONDS - start))
}

run_fuzz() {
    local name=${1##*/}
    if "$1" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        bad+=("$1")
        tail -40 "$log"
    fi
    printf '%-36s corpus replayed\n' "fuzz/$name"
}

run_script() {
    local start=$SECONDS code
    bash "$1" >"$log" 2>&1
    code=$?
    local p f s
    p=$(grep -c '^ok ' "$log")
    f=$(grep -c '^not ok ' "$log")
    s=$(grep -c '^skip ' "$log")
    [ "$code" != 0 ] && [ "$f" = 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    while read -r name; do left_out+=("$1: $name"); done < <(sed -n 's/^skip //p' "$log")
    [ "$f" != 0 ] && bad+=("$1") && grep -v '^ok ' "$log" | tail -40
    printf '%-36s %3d passed%s%s  %d s\n' "${1#tests/}" "$p" "$([ "$f" != 0 ] && echo ", $f failed")" \
        "$([ "$s" != 0 ] && echo ", $s skipped")" $((SECONDS - start))
}

kind=unit
for t in "$@"; do
    case $kind:$t in
    unit:--) kind=fuzz ;;
    fuzz:--) kind=script ;;
    *) [ -e "$t" ] && run_$kind "$t" ;;
    esac
done
for t in "${left_out[@]}"; do echo "skipped: $t"; done
for t in "${bad[@]}"; do echo "FAILED: $t"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
