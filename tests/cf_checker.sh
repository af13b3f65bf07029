#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the CF checker of tests/cli/cf.sh into build/cf-checker, from PyPI. Where Python, its venv
# or the network is missing it says so and succeeds: the test is then skipped by name.
set -u
folder=${B:-build}/cf-checker
[ -x "$folder/bin/compliance-checker" ] && exit 0
if python3 -m venv "$folder" >/dev/null 2>&1 && "$folder/bin/pip" install -q compliance-checker==6.1.0; then
    echo "CF checker: installed in $folder"
else
    rm -rf "$folder"
    echo "CF checker: not installed, its test will be skipped"
fi
