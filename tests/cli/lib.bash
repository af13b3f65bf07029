# SPDX-License-Identifier: Apache-2.0
#
# For the scripts beside it: each prints "ok NAME", "not ok NAME" or "skip NAME" a check.
# tests/run.sh counts them. Runs from the root of the tree; $gen is the program, $tmp a folder that
# goes away.
set -u
B=${B:-build}
build=$B
case $B in /*) ;; *) B=$PWD/$B ;; esac
gen=$B/gen
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Whether the tree has a trained model or not, the other tests are of the same forecasts.
export GEN_MODELS=$tmp/no-models
export GEN_CACHE_DIR=

ok() { echo "ok $1"; }
not_ok() { echo "not ok $1"; }
skip() { echo "skip $1"; }

# For scripts of verbs and networks that WITH_WEATHER=no leaves out.
needs_weather() {
    "$gen" --help | grep -q nowcast || { skip "the weather room is not built"; exit 0; }
}

# For what needs the trained model of the tree: skips the checks of these names while it has none.
needs_bundled() {
    local name
    [ -e weather/models/nowcast.safetensors ] && return 0
    for name; do skip "$name: weather/models/nowcast.safetensors is not in the tree"; done
    return 1
}

# check NAME COMMAND...: passes when the command succeeds.
check() {
    local name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name"; fi
}

# expect CODE WORDS COMMAND...: the exit code, and WORDS (fixed, may be empty) on stderr; for errors one
# `gen:` line there beside warnings. Leaves $tmp/stdout and $tmp/stderr.
expect() {
    local code=$1 words=$2 got lines
    shift 2
    "$@" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null
    got=$?
    lines=$(grep '^gen: ' "$tmp/stderr" | grep -vc '^gen: warning: ')
    local name="exit $code: gen ${*:2}"
    name=${name//$tmp\//}
    if [ $got != "$code" ]; then
        echo "found exit $got:"
        cat "$tmp/stderr"
        not_ok "$name"
    elif [ -n "$words" ] && ! grep -qF -- "$words" "$tmp/stderr"; then
        echo "expected '$words' in:"
        cat "$tmp/stderr"
        not_ok "$name"
    elif [ "$code" != 0 ] && [ "$lines" != 1 ] && [ $got -lt 128 ]; then
        echo "expected one line from gen:"
        cat "$tmp/stderr"
        not_ok "$name"
    else
        ok "$name"
    fi
}

# no_litter FOLDER NAME...: the folder holds these names and nothing else, hidden files included.
no_litter() {
    local folder=$1
    shift
    [ "$(ls -A "$folder" | sort | tr '\n' ' ')" = "$(printf '%s\n' "$@" | sort | sed '/^$/d' | tr '\n' ' ')" ]
}
