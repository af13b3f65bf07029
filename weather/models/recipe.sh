# SPDX-License-Identifier: Apache-2.0
#
# What the trainings of the bundled model share: train.sh, from nothing, and tests/gpu/run.sh, which goes on. Only
# openly licensed radar: KNMI, FMI, MRMS.
data=${GEN_SHARED:-../shared}/data/radar/sequences/train
radar=("$data"/knmi_*.nc "$data"/fmi_*.nc "$data"/mrms_*.nc)
crps=(--leads 12 --regulariser crps --clamp --octaves 2 --weight even --draws 2)
gan=(--lambda 20 --adversarial 2 --calm 1 --rate 1e-4 --d-rate 2e-4 --warmup 50)
