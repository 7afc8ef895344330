#!/bin/bash
# What ptxas gave every kernel - registers, bytes spilled, static shared memory - on sm_80 and sm_90, and what the inner
# loops of its machine code are made of (sass_loops.awk), where nvdisasm is.
#   report.sh NVCC [NVDISASM]
set -u
cd "$(dirname "$0")/../.." || exit 1
nvcc=$1 nvdisasm=${2:-}
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
# Once a source: both architectures, and the machine code kept.
for source in $(grep -l __global__ kernels/cuda/*.cu); do
    echo "source $source"
    "$nvcc" -I. -std=c++17 -O3 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 -fatbin \
        --keep --keep-dir "$kept" -Xptxas -v -o "$kept/all.fatbin" "$source" 2>&1 || exit 1
done >"$kept/log"
c++filt <"$kept/log" | awk '
    /^source/ { source = $2; sub(/.*\//, "", source) }
    /Compiling entry function/ { arch = $0; sub(/.* for \x27/, "", arch); sub(/\x27.*/, "", arch)
        name = $0; sub(/.*function \x27/, "", name); sub(/\x27 for.*/, "", name); sub(/^void /, "", name); gsub(/\(anonymous namespace\)::/, "", name); gsub(/\([a-z_0-9]+\)/, "", name); sub(/\(.*/, "", name) }
    /spill stores/ { spilled = $0; sub(/.*frame, /, "", spilled); sub(/ bytes spill stores.*/, "", spilled) }
    /Used [0-9]+ registers/ {
        registers = $0; sub(/.*Used /, "", registers); sub(/ registers.*/, "", registers)
        shared = 0
        if ($0 ~ /bytes smem/) { shared = $0; sub(/ bytes smem.*/, "", shared); sub(/.*, /, "", shared) }
        printf "%-18s %-44s %-6s %9d %8d %8d\n", source, name, arch, registers, spilled, shared
    }
    BEGIN { printf "%-18s %-44s %-6s %9s %8s %8s\n", "source", "kernel", "arch", "registers", "spilled", "shared" }'
if [ -z "$nvdisasm" ]; then
    echo 'no nvdisasm here: the inner loops are not counted (`make cuda-report` takes it from PyPI where it can)'
    exit 0
fi
echo
header=1
for cubin in "$kept"/*.cubin; do
    name=$(basename "$cubin" .cubin)
    "$nvdisasm" -c "$cubin" | sed -E '/^\.text\./{s/^\.text\./@ /;s/:$//}' | c++filt |
        awk -v source="${name%%.*}.cu" -v arch="sm_${name##*_}" -v header=$header -f kernels/cuda/sass_loops.awk || exit 1
    header=
done
