#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make bench: our speed beside the peers', in one run. Peers are the Python packages dgmr, torch, onnxruntime, openvino and
# pysteps in $PEERS/venv (default ~/.cache/libgen-peers/venv); without them the tables hold our rows only.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${B:=build}" "${PEERS:=$HOME/.cache/libgen-peers}"
export PEERS
python=$PEERS/venv/bin/python
[ -x "$python" ] || { echo "no peers in $PEERS/venv: our own rows only"; python=python3; }

echo "# $(date -u +%Y-%m-%d), $(nproc) processors: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), load $(cut -d' ' -f1 /proc/loadavg)"
"$python" "$here/run.py" "$B" --peers "$python" "$@"
if [ -x "$PEERS/venv/bin/python" ] && [ -f "$here/advection.py" ]; then
    echo; "$python" "$here/advection.py" "$B" --busy
fi
if [ -x "$PEERS/venv/bin/python" ]; then
    echo; "$python" "$here/scores.py" "$B"
    if [ -d "${GEN_SHARED:=../shared}/data/radar/sequences" ]; then
        export GEN_SHARED
        "$python" "$here/ensemble.py" "$B"
    fi
fi
if [ -x "$PEERS/venv/bin/python" ] && [ -d "${GEN_SHARED:-../shared}/data/radar/native" ]; then
    echo; "$python" "$here/readers.py" "$B"
fi
if [ -x "$B/tests/bench/train_step" ]; then
    echo; "$python" "$here/train_step.py" "$B" --peers "$python"
fi
if "$B/gen" --help | grep -q nowcast; then
    echo; "$python" "$here/products.py" "$B"
fi
"$python" "$here/convolutions.py" "$B"
