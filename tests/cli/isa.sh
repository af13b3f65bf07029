#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The kernels of older processors on this one: GEN_ISA lowers what was found.
. tests/cli/lib.bash
[ "$(uname -m)" = x86_64 ] || { skip "instruction sets of x86-64"; exit 0; }
for isa in base avx2; do
    GEN_ISA=$isa "$B/tests/check_ops" >"$tmp/log" 2>&1
    code=$?
    [ $code = 0 ] || grep -v '^\[ *\(OK\|RUN\)' "$tmp/log"
    check "check_ops at $isa" test $code = 0
done
expect 2 "expected base, avx2" env GEN_ISA=neon "$gen" info
expect 0 "" env GEN_ISA=base "$gen" info
check "info says baseline" grep -q 'baseline' "$tmp/stdout"
