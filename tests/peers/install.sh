#!/bin/bash
# A virtual environment with the peers: `install.sh FOLDER`, which then holds venv/ and, for each peer, PEER.missing with the
# reason or nothing. What is there already stays. PIP_INDEX_URL and the like are heeded.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=$1
mkdir -p "$folder"
if [ ! -x "$folder/venv/bin/python" ]; then
    python3 -m venv "$folder/venv" >"$folder/venv.log" 2>&1 || { rm -rf "$folder/venv"; echo "peers: python3 makes no virtual environment (python3-venv)" >&2; exit 1; }
fi
grep -v '^#' tests/peers/requirements.txt | while IFS=: read -r peer packages; do
    [ -e "$folder/$peer.installed" ] && [ "$(cat "$folder/$peer.installed")" = "$packages" ] && continue
    echo "peers: installing $peer" >&2
    # shellcheck disable=SC2086
    if nice "$folder/venv/bin/pip" install --quiet --disable-pip-version-check $packages >"$folder/$peer.log" 2>&1; then
        rm -f "$folder/$peer.missing"
        echo "$packages" >"$folder/$peer.installed"
    else
        rm -f "$folder/$peer.installed"
        echo "can't be installed: $(grep -v '^$' "$folder/$peer.log" | tail -1 | cut -c1-150)" >"$folder/$peer.missing"
    fi
done
