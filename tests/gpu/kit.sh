#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make gpu-kit: B/gpu-kit.tar.gz, all that a machine with a GPU, its driver, Python and (to compare) PyTorch needs:
#     tar xzf gpu-kit.tar.gz && gpu-kit/run.sh check
# Programs built without oneDNN and codecs, with the shared libraries that they want beside them; libgen-cuda.so, but not
# cuDNN and cuBLAS; golden values; the bundled model; openly licensed radar as .npy where GEN_SHARED is there.
#     kit.sh B PROGRAM...      programs of B/tests; MAKE: make; CUDA_SHARED: libgen-cuda.so, where it was built
set -eu
B=$1 && shift
most=60000000 # bytes of the kit
kit=$B/gpu-kit
rm -rf "$kit" "$kit.tar.gz" && mkdir -p "$kit/build/lib" "$kit/radar" "$kit/weather/models"

# ---- programs, and the libraries that they find beside them
origin='$$ORIGIN/lib:$$ORIGIN/../lib:$$ORIGIN/../../lib'
"$MAKE" --no-print-directory B="$B/kit" WITH_ONEDNN=no WITH_CODECS=no WITH_CUDA=no OPT=-O2 \
    CORE_PKGS="libcjson libzip zlib lapacke kissfft-float" \
    LDFLAGS="-Wl,--as-needed -Wl,--disable-new-dtags -Wl,-rpath,'$origin' -s" \
    "$B/kit/gen" "${@/#/$B/kit/tests/}"
for p in gen "${@/#/tests/}"; do
    mkdir -p "$kit/build/$(dirname "$p")"
    cp "$B/kit/$p" "$kit/build/$p"
done
# The reference's BLAS and LAPACK where Debian's are installed: a third of OpenBLAS, and nothing needs their speed. Not
# what comes with every system, and must be of one make with what the driver brings.
reference=$(echo /usr/lib/*/blas /usr/lib/*/lapack | tr ' ' :)
LD_LIBRARY_PATH=$reference ldd "$kit/build/gen" "${@/#/$kit/build/tests/}" | awk '$3 ~ "^/" { print $3 }' | sort -u |
    grep -vE '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+))\.so' | while read -r l; do
    cp -L "$l" "$kit/build/lib/"
done
if [ -n "${CUDA_SHARED:-}" ]; then
    cp -L "$CUDA_SHARED" "$kit/build/libgen-cuda.so"
    strip --strip-unneeded "$kit/build/libgen-cuda.so"
else
    echo "gpu-kit: built without CUDA: this kit only has the CPU" >&2
fi

# ---- what they read
mkdir -p "$kit/tests/golden" "$kit/tests/bench" "$kit/tests/gpu"
cp tests/golden/*.npy tests/golden/{adam,gan}.json tests/golden/dgmr*_names.txt tests/golden/rule.py "$kit/tests/golden/"
cp tests/bench/{gpu,serve_torch,train_step_peer,dgmr_torch}.py "$kit/tests/bench/"
cp tests/gpu/{run.sh,check.py} "$kit/tests/gpu/"
cp LICENSE weather/models/{nowcast.safetensors,recipe.sh} "$kit/weather/models/"
chmod +x "$kit/tests/gpu/run.sh"
ln -s tests/gpu/run.sh "$kit/run.sh"
. weather/models/recipe.sh
for f in "${radar[@]}"; do
    [ ! -r "$f" ] || "$B/gen" radar convert "$f" -o "$kit/radar/$(basename "$f" .nc).npy"
done
[ -n "$(ls "$kit/radar")" ] || echo "gpu-kit: no radar in '$data': the kit cannot train (set GEN_SHARED)" >&2

tar -C "$B" -c gpu-kit | gzip -9 >"$kit.tar.gz.part"
size=$(stat -c %s "$kit.tar.gz.part")
rm -rf "$kit"
[ "$size" -lt $most ] || { echo "gpu-kit: $size bytes, expected less than $most" >&2; exit 1; }
mv "$kit.tar.gz.part" "$kit.tar.gz"
echo "$kit.tar.gz: $size bytes"
