#!/bin/bash
# Puts the CUDA headers that the emulated suites are compiled with under FOLDER/include: from NVIDIA's wheels on PyPI,
# 6 MB, where no CUDA toolkit is.
#   headers.sh FOLDER
set -u
folder=$1
release=13.0
packages=(nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl)
[ -f "$folder/include/cuda_fp16.h" ] && exit 0
mkdir -p "$folder" || exit 1
work=$(mktemp -d "$folder/wheels.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
echo "simt: no CUDA toolkit here; fetching its headers from PyPI: ${packages[*]}"
python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" \
    "${packages[@]/%/==$release.*}" || { echo "simt: no CUDA headers: they did not come from PyPI"; exit 1; }
for wheel in "$work"/*.whl; do
    python3 -m zipfile -e "$wheel" "$work/all" || exit 1
done
found=$(find "$work/all" -name cuda_fp16.h -printf '%h\n' | head -n 1)
[ -n "$found" ] || { echo "simt: no CUDA headers: the wheels hold none"; exit 1; }
mv "$found" "$folder/include"
