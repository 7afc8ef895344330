#!/bin/bash
# What ptxas gave every kernel: registers, bytes spilled, static shared memory, on sm_80 and sm_90.
#   report.sh NVCC FLAGS...
set -u
cd "$(dirname "$0")/../.." || exit 1
nvcc=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for source in $(grep -l __global__ kernels/cuda/*.cu); do
    for arch in 80 90; do
        echo "source $source sm_$arch"
        "$nvcc" "$@" -I. -std=c++17 -O3 -arch=sm_$arch -cubin -Xptxas -v -o /dev/null "$source" 2>&1
    done
done >"$log"
c++filt <"$log" | awk '
    /^source/ { source = $2; arch = $3; sub(/.*\//, "", source) }
    /Compiling entry function/ { name = $0; sub(/.*function \x27/, "", name); sub(/\x27 for.*/, "", name); sub(/^void /, "", name); gsub(/\(anonymous namespace\)::/, "", name); gsub(/\([a-z_0-9]+\)/, "", name); sub(/\(.*/, "", name) }
    /spill stores/ { spilled = $0; sub(/.*frame, /, "", spilled); sub(/ bytes spill stores.*/, "", spilled) }
    /Used [0-9]+ registers/ {
        registers = $0; sub(/.*Used /, "", registers); sub(/ registers.*/, "", registers)
        shared = 0
        if ($0 ~ /bytes smem/) { shared = $0; sub(/ bytes smem.*/, "", shared); sub(/.*, /, "", shared) }
        printf "%-14s %-44s %-6s %9d %8d %8d\n", source, name, arch, registers, spilled, shared
    }
    BEGIN { printf "%-14s %-44s %-6s %9s %8s %8s\n", "source", "kernel", "arch", "registers", "spilled", "shared" }'
