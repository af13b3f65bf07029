#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Checkpoints as PyTorch writes them, converted and run, beside PyTorch itself: where the peers are
# installed (tests/bench/run.sh says where), else skipped.
. tests/cli/lib.bash
needs_weather
python=${PEERS:-$HOME/.cache/libgen-peers}/venv/bin/python

find='from importlib.util import find_spec as f; import sys; sys.exit(not (f("dgmr") and f("torch")))'
if "$python" -c "$find" >/dev/null 2>&1; then
    "$python" tests/golden/convert.py "$gen" "$tmp" 2>"$tmp/stderr" || {
        cat "$tmp/stderr"
        not_ok "conversion beside PyTorch"
    }
else
    skip "conversion beside PyTorch: dgmr is not installed"
fi
