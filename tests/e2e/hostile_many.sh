#!/bin/bash
# COUNT hostile files (make_many.py), drawn by SEED: the run ends, and each of them has one record that is an answer or an
# error of a kind that is known.
. "$(dirname "$0")/lib.sh"
COUNT=${COUNT:-100}
SEED=${SEED:-1}
python3 "$ROOT/tests/e2e/hostile/make_many.py" "$WORK/files" "$COUNT" "$SEED" || die "no files"
timeout 500 "$FERRET" annotate "$WORK/files" --max-tokens 1 >"$WORK/records.jsonl" 2>"$WORK/err"
want "exit code of a run with files that fail" 1 $?
python3 - "$WORK" "$COUNT" <<'PYTHON' || die "seed $SEED: records are not as they should be"
import collections, json, os, sys
known = {'empty_file', 'not_an_image', 'unsupported_format', 'too_large', 'truncated', 'corrupt', 'decode_failed', 'timeout', 'crashed'}
records = [json.loads(line) for line in open(os.path.join(sys.argv[1], 'records.jsonl'))]
ids = collections.Counter(r['id'] for r in records)
files = {os.path.join(sys.argv[1], 'files', name) for name in os.listdir(os.path.join(sys.argv[1], 'files'))}
assert set(ids) == files and len(files) == int(sys.argv[2]) and max(ids.values()) == 1, (len(ids), len(files))
ends = collections.Counter()
for r in records:
    code = r['error']['code'] if r['status'] == 'failed' else 'ok'
    assert code == 'ok' or (code in known and r['error']['message']), r
    ends[code] += 1
print(dict(ends))
assert ends['ok'] and len(ends) > 4, ends
PYTHON
