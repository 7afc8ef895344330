#!/bin/bash
# Puts nvdisasm into FOLDER from NVIDIA's wheel on PyPI: toolkits come with it or without.
#   nvdisasm.sh FOLDER
set -u
folder=$1
[ -x "$folder/nvdisasm" ] && exit 0
mkdir -p "$folder" || exit 1
work=$(mktemp -d "$folder/wheel.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" nvidia-cuda-nvdisasm ||
    { echo "cuda-report: no nvdisasm: it did not come from PyPI"; exit 1; }
python3 -m zipfile -e "$work"/*.whl "$work/all" || exit 1
found=$(find "$work/all" -name nvdisasm -type f | head -n 1)
[ -n "$found" ] || { echo "cuda-report: no nvdisasm in its wheel"; exit 1; }
chmod 755 "$found" && mv "$found" "$folder/nvdisasm"
