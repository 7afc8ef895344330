#!/bin/bash
# docs/tour.md, done as it stands: its blocks of commands in order, in one shell, each of them a success; and then what they left.
set -u
cd "$(dirname "$0")/../.." || exit 1
for tool in nginx prometheus curl; do
    PATH=$PATH:/usr/sbin command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
command -v chromium || command -v chromium-browser || { echo "no Chromium here"; exit 77; }
rm -rf build/tour
mkdir -p build/tour
{
    # What is still there when a block fails ends all the same.
    echo 'set -eu; trap '\''code=$?; kill $(jobs -p) $(cat build/tour/nginx.pid 2>/dev/null) 2>/dev/null; wait; exit $code'\'' EXIT'
    awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' docs/tour.md
} >build/tour/commands.sh
unset FERRET_DATA FERRET_BROKER FERRET_CONFIG FERRET_CAMPAIGN AWS_PROFILE
bash build/tour/commands.sh || exit 1

python3 - <<'END'
import json, pathlib
tour = pathlib.Path('build/tour')
photos = sum(1 for _ in (tour / 'photos').iterdir())
for name, n in (('folder', photos), ('list', 3), ('shard', 3), ('remote', 3), ('bucket', 3)):
    records = [json.loads(line) for line in (tour / (name + '.jsonl')).read_text().splitlines()]
    assert len(records) == n and all(r['status'] == 'ok' and r['tasks'][0]['text'] for r in records), (name, n, records)
for picture in ('status', 'gallery'):
    assert (tour / (picture + '.png')).stat().st_size > 20000, picture
END
