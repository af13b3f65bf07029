#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The demo: a forecast from the simulated radar sequence beside this file, with maps
# and, where FFmpeg is installed, a film.
#     examples/demo.sh build/gen out
set -eu
gen=$1 out=$2
here=$(dirname "$0")
mkdir -p "$out"
"$gen" radar info "$here/rain.nc"
echo
"$gen" nowcast "$here/rain.nc" --at 2026-01-01T00:55 --lead 60 -o "$out/forecast.nc" --plot "$out" --force
"$gen" radar plot "$here/rain.nc" -o "$out/rain.gif" --force || true
echo
ls "$out"
