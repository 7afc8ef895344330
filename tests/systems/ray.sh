#!/bin/bash
# The Ray Data stage with the real Ray, and Parquet with the real pyarrow, from PyPI into a virtual environment of its own.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BIN=${BIN:-$PWD/build/bin}
venv=build/venv-ray
if ! [ -x $venv/bin/python ] || ! $venv/bin/python -c 'import ray.data' 2>/dev/null; then
    python3 -m venv $venv || { echo "no venv for Python here"; exit 77; }
    $venv/bin/pip install -q 'ray[data]' pyarrow pyzmq msgpack || { echo "PyPI can't be reached"; exit 77; }
fi
$venv/bin/pip install -q --no-deps --force-reinstall ./protocol/python || exit 1
rm -rf protocol/python/build protocol/python/*.egg-info
$venv/bin/python tests/e2e/client.py && exec $venv/bin/python tests/systems/ray_stage.py
