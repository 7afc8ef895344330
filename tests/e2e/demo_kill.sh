#!/bin/bash
# The demo with a worker killed half way: every image has its record, and the three exports are there.
. "$(dirname "$0")/lib.sh"
DEMO_KILL=1 DEMO_DIR=$WORK/demo BIN=$BIN "$ROOT/tests/e2e/demo.sh" || die "the demo failed"
corpus=$ROOT/tests/e2e/corpus/files
out=$WORK/demo/out
grep -q 'worker-0 was killed by signal 9' "$WORK/demo/up.log" || die "no worker was killed"
python3 - "$corpus" "$out/records.jsonl" <<'PYTHON' || die "records are not as they should be"
import collections, json, os, sys
files = sorted(os.listdir(sys.argv[1]))
records = [json.loads(line) for line in open(sys.argv[2])]
ids = sorted(r['id'] for r in records)
assert ids == files, f'records for {ids}, files are {files}'
failed = [r['id'] for r in records if r['status'] == 'failed']
assert failed and all(f.startswith('broken') for f in failed), failed
PYTHON
drawings=$(find "$out/overlay" -type f | wc -l)
images=$(find "$corpus" -type f ! -name 'broken*' | wc -l)
want "drawings" "$images" "$drawings"
[ -s "$out/html/index.html" ] || die "no gallery"
