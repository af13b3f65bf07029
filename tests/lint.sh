#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the compiler does not check: include order between folders, who may call which library,
# calls that a library must not make, blanks, length of files. Prints file:line: sentence.
set -u
cd "$(dirname "$0")/.."
git rev-parse --git-dir >/dev/null 2>&1 || { echo "lint asks git for the files: not a clone"; exit 1; }
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do
    [ -f "$f" ] && echo "$f"
done; }

mapfile -t sources < <(files '*.c' '*.h' '*.cu' '*.cuh' '*.cc')
mapfile -t texts < <(files '*.c' '*.h' '*.cu' '*.cuh' '*.cc' '*.sh' '*.py' '*.md' Makefile '*.mk' .ci/run)

check_layers() {
    awk '
    BEGIN {
        n = split("base tensor graph ops backends plan nn model train metrics media room cli", name, " ")
        for (i = 1; i <= n; i++) rank[name[i]] = i
        # Public headers lie flat; the folder that implements each.
        split("status log", a, " "); for (i in a) public[a[i]] = "base"
        split("tensor random", b, " "); for (i in b) public[b[i]] = "tensor"
        split("graph params", c, " "); for (i in c) public[c[i]] = "graph"
        public["ops"] = "ops"; public["plan"] = "plan"; public["nn"] = "nn"
        public["model"] = "model"; public["train"] = "train"; public["metrics"] = "metrics"
        public["weather"] = public["plot"] = public["products"] = public["verify"] = "weather"; public["video"] = "video"; public["audio"] = "audio"
    }
    function folder(path,   p, m) {
        m = split(path, p, "/")
        if (p[1] == "libgen") return m > 2 ? p[2] : public[substr(p[2], 1, index(p[2], ".") - 1)]
        if (p[1] == "tests" || p[1] == "examples") return p[1]
        return p[1]
    }
    function layer(f) { return f == "weather" || f == "video" || f == "audio" ? "room" : f }
    function complain(s) { print FILENAME ":" FNR ": " s; bad = 1 }
    /^[ \t]*#[ \t]*include/ {
        from = folder(FILENAME)
        path = $0
        sub(/^[^<"]*[<"]/, "", path); sub(/[>"].*/, "", path)
        if (from == "examples") {
            if ($0 ~ /"/) complain("an example sees installed headers only, not \"" path "\"")
            next
        }
        if (from == "tests") next
        if (path ~ /^libgen\/[^\/]*\.h$/) to = public[substr(path, 8, length(path) - 9)]
        else if (path ~ /^(libgen|weather|video|audio|metrics|media|cli)\//) to = folder(path)
        else next
        if (to == "") { complain("<" path "> belongs to no layer that tests/lint.sh knows"); next }
        if (path ~ /^libgen\/[^\/]*\.h$/ && $0 ~ /"/) complain("a public header is spelled <" path ">")
        f = layer(from); t = layer(to)
        if (FILENAME == "libgen/graph/grad.c" && to == "ops") next # gradients are summed by gen_add
        if (rank[t] > rank[f]) complain(from " may not include " to " (" path ")")
        if (f == "room" && t == "room" && from != to) complain("rooms do not know each other: " path)
        if (from == "nn" && (to == "plan" || to == "backends")) complain("nn may not include " to)
    }
    END { exit bad }' "${sources[@]}"
}

# NAME PATTERN ALLOWED: a library is called from one place only.
only_in() {
    local bad=0
    while IFS=: read -r file line _; do
        [[ $file =~ $3 ]] && continue
        echo "$file:$line: $1 is called from $3 only"
        bad=1
    done < <(grep -nE "$2" "${sources[@]}")
    return $bad
}

# The library is silent and never ends the program; every allocation passes base/alloc.c.
check_calls() {
    local bad=0
    while IFS=: read -r file line text; do
        case $file in libgen/*|weather/*|video/*|audio/*|metrics/*|media/*) ;; *) continue ;; esac
        [[ $text =~ ^[[:space:]]*(\*|/\*|//) ]] && continue
        [[ $file = libgen/base/alloc.c && $text =~ aligned_alloc ]] && continue
        [[ $file = weather/codec/isolate.c && $text =~ _exit ]] && continue # of the child
        echo "$file:$line: a library may not call this:${text}"
        bad=1
    done < <(grep -nE '(^|[^a-zA-Z0-9_>.])(printf|puts|putchar|perror|exit|_exit|abort|malloc|calloc|realloc|aligned_alloc|strdup|strndup|asprintf|system|popen|gets|strcpy_s|setlocale) *\(|fprintf\(std(err|out)' "${sources[@]}")
    return $bad
}

check_text() {
    awk '
    function complain(s) { print FILENAME ":" FNR ": " s; bad = 1 }
    FNR == 1 { if (last != "" && count > 800 && last !~ /\.md$/) {
                   print last ": " count " lines, split at 800"; bad = 1 }
               if (FILENAME ~ /\.(c|h|cu|cuh|cc|sh|py)$/ && $0 !~ /SPDX/) spdx_missing = 1; else spdx_missing = 0 }
    FNR == 2 { if (spdx_missing && $0 !~ /SPDX/) complain("no SPDX line on top") }
    { last = FILENAME; count = FNR }
    /[ \t]$/ { complain("blanks at the end of the line") }
    /\t/ && FILENAME !~ /Makefile|\.mk$/ { complain("a tab") }
    length($0) > 100 && FILENAME ~ /\.(c|h|cu|cuh|cc)$/ && !/https?:/ { complain("longer than 100 columns") }
    END { exit bad }' "${texts[@]}"
    local bad=$?
    for f in "${texts[@]}"; do
        if [ -s "$f" ] && [ -n "$(tail -c1 "$f")" ]; then
            echo "$f: no newline at the end"
            bad=1
        fi
    done
    return $bad
}

# Every source is listed in the Makefile, or it is built by nobody.
check_listed() {
    local bad=0
    for f in "${sources[@]}"; do
        case $f in examples/*|tests/fuzz/main.c|tests/bench/*|*.h|*.cuh) continue ;; esac
        grep -qE "^    $f( |\$)" Makefile libgen/backends/cuda/cuda.mk && continue
        echo "$f: not listed in the Makefile"
        bad=1
    done
    return $bad
}

# No status of CUDA, cuDNN or cuBLASLt is dropped unsaid: it passes a macro, is kept, is returned, or
# is cast away.
check_cuda_calls() {
    local bad=0
    local looked_at='(GEN_CUDA|GEN_CUDNN|GEN_CUBLAS)\(|\(void\)|= |return|\?|GetVersion|ErrorString|StatusString'
    while IFS=: read -r file line text; do
        [[ $text =~ ^[[:space:]]*(\*|/\*|//) ]] && continue
        [[ $text =~ $looked_at ]] && continue
        echo "$file:$line: its status is not looked at:${text}"
        bad=1
    done < <(files 'libgen/backends/cuda/*.c' 'libgen/backends/cuda/*.cu' 'libgen/backends/cuda/*.cuh' |
        xargs grep -nE '(^|[^a-zA-Z0-9_])(cuda|cudnn|cublasLt)[A-Z][A-Za-z]*\(')
    return $bad
}

status=0
check_layers || status=1
only_in oneDNN 'include.*dnnl' '^libgen/backends/cpu/' || status=1
only_in 'CUDA, cuDNN and cuBLASLt' 'include.*<(cuda|cudnn|cublas)' '^(libgen/backends/cuda/|tests/)' || status=1
only_in 'BLAS and LAPACK' 'include.*(cblas|lapacke)' '^(libgen/backends/cpu/|metrics/|libgen/nn/params_init\.c)' || status=1
only_in cJSON 'include.*cJSON' '^libgen/base/json\.c' || status=1
only_in KissFFT 'include.*kiss_fft' '^(metrics/spectrum|weather/cascade)\.' || status=1
only_in netCDF 'include.*netcdf' '^(weather/codec|tests)/' || status=1
only_in HDF5 'include.*<hdf5\.h>' '^(weather/codec/hdf5[_a-z]*\.[ch]|tests/)' || status=1
only_in libdeflate 'include.*<libdeflate\.h>' '^(weather/codec|tests)/' || status=1
only_in PROJ 'include.*<proj\.h>' '^weather/projection\.c' || status=1
only_in libzip 'include.*<zip\.h>' '^(libgen/model|weather/codec|tests)/' || status=1
only_in libarchive 'include.*<archive' '^(weather/codec|tests)/' || status=1
only_in giflib 'include.*<gif_lib' '^(weather/codec|tests)/' || status=1
only_in FFmpeg 'include.*<lib(av|sw)' '^(media/|video/codec|tests/)' || status=1
only_in libpng 'include.*<png\.h>' '^(media/|video/codec|tests/)' || status=1
only_in libgeotiff 'include.*<geotiff/' '^(weather/codec/geotiff|tests/)' || status=1
only_in ecCodes 'include.*<eccodes\.h>' '^(weather/codec/grib_values\.c|tests/)' || status=1
check_calls || status=1
check_cuda_calls || status=1
check_text || status=1
check_listed || status=1
[ $status = 0 ] && echo "lint: nothing found"
exit $status
