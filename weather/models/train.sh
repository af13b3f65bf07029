#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Trains the model that comes with the program: weather/models/train.sh GEN FOLDER [HOURS]
#
# Two stages. First the generator alone, by the CRPS of its draws: motion is taken from the rain's
# coordinates, so it learns how rain changes, and how sure that is. Then with both discriminators,
# which give the members the texture of rain. Only openly licensed radar: KNMI, FMI, MRMS.
# A run that was interrupted goes on where it was.
set -eu
gen=$1 folder=$2 hours=${3:-1.5}
data=${GEN_SHARED:-../shared}/data/radar/sequences/train
radar=("$data"/knmi_*.nc "$data"/fmi_*.nc "$data"/mrms_*.nc)
for f in "${radar[@]}"; do
    [ -r "$f" ] || { echo "train-nowcast: there is no '$f': set GEN_SHARED" >&2; exit 3; }
done
first=$(awk "BEGIN { print int($hours * 3600 / 4) }")s rest=$(awk "BEGIN { print int($hours * 2700) }")s
common=(--leads 12 --crop 64 --batch 4 --draws 2 --regulariser crps --clamp --octaves 2 --weight even
    --validate-every 400 --resume)
mkdir -p "$folder"
"$gen" train nowcast --data "${radar[@]}" -o "$folder/alone" --time-limit "$first" "${common[@]}" \
    --width 0.25 --set norm=none,sn=none,coordinates=rain,skip=gate,smooth=binomial \
    --adversarial 0 --lambda 1 --rate 5e-4 --warmup 100 --average 0.995
"$gen" train nowcast --data "${radar[@]}" -o "$folder/gan" --time-limit "$rest" "${common[@]}" \
    --init "$folder/alone/best.safetensors" --d-width 0.2 \
    --lambda 20 --adversarial 2 --calm 1 --rate 1e-4 --d-rate 2e-4 --warmup 100 --average 0.999
cp "$folder/gan/model.safetensors" "$folder/nowcast.safetensors"
echo "$folder/nowcast.safetensors"
