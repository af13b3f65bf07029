#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# On a machine with a GPU, from the tree after make or from the kit (make gpu-kit), where nothing has to be installed:
#     run.sh check [--time-limit S]     ops, networks and a training step on the device: one table
#     run.sh bench [--time-limit S]     speed beside PyTorch, where python3 has it
#     run.sh train [--time-limit S]     goes on with the bundled nowcast; a second call goes on with the first
# Each ends by itself within S seconds (280; train 570), and leaves logs and results in --out DIR (default: in build).
# --device cuda|cpu; what else is given goes to check.py or gpu.py. B: where the programs are.
set -eu
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
what=${1:-} device=cuda limit= out=
[ $# = 0 ] || shift
more=()
while [ $# -gt 0 ]; do
    case $1 in
    --device) device=$2 && shift 2 ;;
    --time-limit) limit=$2 && shift 2 ;;
    --out) mkdir -p "$2" && out=$(cd "$2" && pwd) && shift 2 ;;
    *) more+=("$1") && shift ;;
    esac
done
cd "$root" # the golden values are found from here
B=$(cd "${B:-build}" && pwd)
out=${out:-$B/$what-gpu}
export GEN_CUDA_LIBRARY=${GEN_CUDA_LIBRARY:-$B/libgen-cuda.so}
[ -r "$GEN_CUDA_LIBRARY" ] || unset GEN_CUDA_LIBRARY

# cuDNN and cuBLASLt: PyTorch's, else the toolkit's.
python=${PYTHON:-python3}
libraries=$("$python" -c '
import glob, nvidia
print(":".join(d for p in nvidia.__path__ for d in sorted(glob.glob(p + "/*/lib"))))' 2>/dev/null || true)
export GEN_GPU_LIBRARIES=${libraries:+$libraries:}/usr/local/cuda/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
[ "$what" = bench ] || export LD_LIBRARY_PATH=$GEN_GPU_LIBRARIES # not for PyTorch, which has its own

# Bundled model and openly licensed radar, as weather/models/train.sh has them; larger crops and batches.
train() {
    local seconds=${limit:-570} run=$B/train-gpu begin=$SECONDS files
    . weather/models/recipe.sh
    files=(radar/*.npy)
    [ -r "${files[0]}" ] || files=("${radar[@]}")
    mkdir -p "$out"
    "$B/gen" train nowcast --data "${files[@]}" -o "$run" --device "$device" --precision bf16 \
        --time-limit $((seconds - 60))s --init weather/models/nowcast.safetensors --resume "${crps[@]}" "${gan[@]}" \
        --crop 256 --batch 4 --average 0.999 "${more[@]}" >"$out/train.txt" 2>&1 || { tail -3 "$out/train.txt" >&2; return 1; }
    tail -1 "$out/train.txt"
    cp "$run/best.safetensors" "$out/nowcast.safetensors"
    tail -c 8000000 "$run/log.jsonl" >"$out/log.jsonl"
    echo "$out/nowcast.safetensors: $(stat -c %s "$out/nowcast.safetensors") bytes, $((SECONDS - begin)) s"
}

case $what in
check) exec "$python" tests/gpu/check.py "$B" --device "$device" --time-limit "${limit:-280}" --out "$out" "${more[@]}" ;;
bench) exec "$python" tests/bench/gpu.py "$B" --device "$device" --time-limit "${limit:-280}" --out "$out" "${more[@]}" ;;
train) train ;;
*) sed -n '4,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
