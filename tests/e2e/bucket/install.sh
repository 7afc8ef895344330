#!/bin/bash
# Puts a server that speaks S3 and checks signatures (moto, from PyPI) into FOLDER, once.
#   install.sh FOLDER
set -u
folder=$1
[ -d "$folder/moto" ] && exit 0
work=$(mktemp -d "$folder.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
python3 -m pip install -q --disable-pip-version-check --target "$work" \
    'moto==5.2.*' flask flask-cors py-partiql-parser pyyaml 2>"$work/pip.err" || { cat "$work/pip.err" >&2; exit 1; }
mv "$work" "$folder" 2>/dev/null || [ -d "$folder/moto" ]
