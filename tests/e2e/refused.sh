#!/bin/bash
# Inputs that are no jobs go the way of all others: each ends in a failed record with the word of its error.
. "$(dirname "$0")/lib.sh"
cp "$ROOT/tests/e2e/corpus/files/tiny.png" "$WORK/good.png"
mkdir "$WORK/folder.jpg"
long=$(printf 'x%.0s' $(seq 12000))
cat >"$WORK/m.jsonl" <<JSON
{"id": "good", "image": "good.png"}
{"id": "task", "image": "good.png", "task": "sing"}
{"image": "good.png", "tasks":
{"id": "gone", "image": "gone.png"}
{"id": "folder", "image": "folder.jpg"}
{"id": "long", "image": "good.png", "tasks": [{"kind": "ask", "turns": ["$long", "$long", "$long"]}]}
{"id": "last", "image": "good.png"}
JSON
up_start "$WORK/data"
"$FERRET" submit "$WORK/m.jsonl" --max-tokens 16 >"$WORK/name" 2>"$WORK/err"
code=$?
cat "$WORK/err"
want "exit code of submit with bad lines" 1 $code
campaign=$(cat "$WORK/name")
"$FERRET" watch "$campaign" 2>"$WORK/watch.log"
want "exit code of watch" 1 $?
grep -q 'unknown_task 1' "$WORK/watch.log" || die "watch does not count kinds of failure: $(tail -n 1 "$WORK/watch.log")"
"$FERRET" export "$campaign" -o - >"$WORK/records.jsonl" || die "export failed"
python3 - "$WORK/records.jsonl" <<'PYTHON' || die "records are not as they should be"
import json, sys
found = {}
for line in open(sys.argv[1]):
    record = json.loads(line)
    found[record['id'].rsplit('/', 1)[-1]] = record.get('error', {}).get('code') if record['status'] == 'failed' else 'ok'
expected = {'good': 'ok', 'task': 'unknown_task', 'm.jsonl:3': 'invalid_job', 'gone': 'missing_file', 'folder': 'not_a_file',
            'long': 'too_long', 'last': 'ok'}
assert found == expected, found
PYTHON
