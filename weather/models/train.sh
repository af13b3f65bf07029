#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Trains the model that comes with the program: weather/models/train.sh GEN FOLDER [HOURS]
#
# Three stages. First the generator alone, by the CRPS of its draws: motion is taken from the rain's
# coordinates, so it learns how rain changes, and how sure that is. Then with both discriminators,
# which give the members the texture of rain. At last on larger crops: a network that has seen only
# 64 x 64 cells, most of them near an edge, makes too much rain on a whole map. A run that was interrupted
# goes on where it was.
set -eu
gen=$1 folder=$2 hours=${3:-1.5}
. "$(dirname "$0")/recipe.sh"
for f in "${radar[@]}"; do
    [ -r "$f" ] || { echo "train-nowcast: there is no '$f': set GEN_SHARED" >&2; exit 3; }
done
share() { awk "BEGIN { printf \"%ds\", $hours * 3600 * $1 }"; }
crps+=(--resume)
mkdir -p "$folder"
"$gen" train nowcast --data "${radar[@]}" -o "$folder/alone" --time-limit "$(share 0.2)" "${crps[@]}" \
    --width 0.25 --set norm=none,sn=none,coordinates=rain,skip=gate,smooth=binomial \
    --adversarial 0 --lambda 1 --rate 5e-4 --warmup 100 --average 0.995
"$gen" train nowcast --data "${radar[@]}" -o "$folder/small" --time-limit "$(share 0.3)" "${crps[@]}" \
    "${gan[@]}" --init "$folder/alone/model.safetensors" --d-width 0.2 --average 0.998
"$gen" train nowcast --data "${radar[@]}" -o "$folder/large" --time-limit "$(share 0.5)" "${crps[@]}" \
    "${gan[@]}" --init "$folder/small/model.safetensors" --crop 128 --batch 2 --average 0.995
cp "$folder/large/model.safetensors" "$folder/nowcast.safetensors"
echo "$folder/nowcast.safetensors"
