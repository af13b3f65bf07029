#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# make install, and the example built against what it put there: pkg-config, shared and static.
. tests/cli/lib.bash
needs_weather
root=$tmp/root
make=${MAKE:-make}
CC=${CC:-gcc}
MAKEFLAGS= MAKELEVEL= $make -s B="$build" DESTDIR="$root" PREFIX=/usr install >"$tmp/log" 2>&1
check "make install" test $? = 0
for f in bin/gen bin/gen-nowcast lib/libgen.so.0 lib/libgen.a lib/libgen-weather.so.0 \
    include/libgen/weather.h lib/pkgconfig/libgen.pc; do
    check "installs $f" test -e "$root/usr/$f"
done
check "private headers stay home" test ! -e "$root/usr/include/libgen/base"
check "headers are files, not links into the tree" test -z "$(find "$root/usr/include" -type l)"

# Models lie beside the program, wherever both are.
models=$root/usr/share/libgen/models
if needs_bundled "the bundled model is installed"; then
    check "the bundled model is installed" cmp -s weather/models/nowcast.safetensors "$models/nowcast.safetensors"
else
    mkdir -p "$models" && : >"$models/nowcast.safetensors"
fi
(unset GEN_MODELS && "$root/usr/bin/gen" info) >"$tmp/stdout"
check "the program that is installed finds models beside it" \
    grep -qF "bundled models   nowcast ($models/nowcast.safetensors)" "$tmp/stdout"

# The prefix is moved instead of setting a sysroot, which would also move what the system has.
export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig
pc() { pkg-config --define-variable=prefix="$root/usr" "$@"; }
sed -i "s#^\(libdir\|includedir\)=/usr#\1=$root/usr#" "$PKG_CONFIG_PATH"/*.pc
# shellcheck disable=SC2046
$CC -std=c11 -Wall -Wextra -Werror examples/nowcast.c $(pc --cflags --libs libgen-weather) -lm \
    -o "$tmp/nowcast" >"$tmp/log" 2>&1
check "the example builds" test $? = 0
LD_LIBRARY_PATH=$root/usr/lib "$tmp/nowcast" examples/rain.nc >"$tmp/stdout" 2>"$tmp/stderr"
check "the example runs" test $? = 0 -a "$(grep -c '^member 0, +' "$tmp/stdout")" = 6
LD_LIBRARY_PATH=$root/usr/lib "$tmp/nowcast" /nonexistent.nc >"$tmp/stdout" 2>"$tmp/stderr"
check "the example fails with a sentence" test $? = 1 -a -s "$tmp/stderr"
sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```' >"$tmp/readme.c"
# shellcheck disable=SC2046
$CC -std=c11 -Wall "$tmp/readme.c" $(pc --cflags --libs libgen-weather) -o "$tmp/readme" >"$tmp/log" 2>&1
check "the program in README.md builds" test $? = 0
LD_LIBRARY_PATH=$root/usr/lib "$tmp/readme" examples/rain.nc >"$tmp/stdout" 2>&1
check "the program in README.md runs" grep -q '^member 0: [0-9.]* mm/h' "$tmp/stdout"
# shellcheck disable=SC2046
$CC -std=c11 examples/nowcast.c $(pc --cflags libgen-weather) -o "$tmp/static" \
    "$root/usr/lib/libgen-weather.a" "$root/usr/lib/libgen.a" \
    $(pkg-config --libs $(pc --print-requires-private libgen-weather libgen | sort -u)) \
    -lgeotiff -ldnnl -lgomp -lm -pthread >>"$tmp/log" 2>&1
check "the static example builds" test $? = 0
check "the static example runs" test "$("$tmp/static" examples/rain.nc)" = \
    "$(LD_LIBRARY_PATH=$root/usr/lib "$tmp/nowcast" examples/rain.nc)"
grep -v '^install\|^ln\|^for' "$tmp/log"

MAKEFLAGS= MAKELEVEL= $make -s B="$build" DESTDIR="$root" PREFIX=/usr uninstall >/dev/null 2>&1
check "make uninstall leaves no file" test -z "$(find "$root" -type f -o -type l)"
