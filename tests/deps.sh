#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages named on the command line that are not there. Where it may not (no
# root and no password-less sudo) or cannot (no apt), it prints the one line to run and fails.
set -u
if ! command -v dpkg-query >/dev/null; then
    command -v gcc >/dev/null && command -v pkg-config >/dev/null && exit 0 # make asks pkg-config
    echo "libgen: this is no Debian; install what these packages hold: $*" >&2
    exit 1
fi
missing=()
for p in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] && continue
    # Another package may stand in: a compiler of another name, pkgconf for pkg-config.
    command -v "$p" >/dev/null && continue
    missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "libgen: missing packages; run:" >&2
    echo "    sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
echo "libgen: installing ${missing[*]}"
apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300"
$apt install -y --no-install-recommends "${missing[@]}" && exit 0
$apt update && $apt install -y --no-install-recommends "${missing[@]}"
