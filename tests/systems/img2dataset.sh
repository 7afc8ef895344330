#!/bin/bash
# What the real img2dataset downloads from a web server on this machine, in each of its layouts, through the Python client
# and back beside its own columns. img2dataset comes from PyPI into a virtual environment of its own (700 MB).
set -u
cd "$(dirname "$0")/../.." || exit 1
export BIN=${BIN:-$PWD/build/bin}
venv=build/venv-img2dataset
if ! [ -x $venv/bin/python ] || ! $venv/bin/python -c 'import img2dataset, zmq, msgpack' 2>/dev/null; then
    python3 -m venv $venv || { echo "no venv for Python here"; exit 77; }
    $venv/bin/pip install -q 'img2dataset==1.47.*' 'setuptools<81' pyzmq msgpack || { echo "PyPI can't be reached"; exit 77; }
fi
exec $venv/bin/python tests/systems/img2dataset_run.py
