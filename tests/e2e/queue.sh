#!/bin/bash
# The job's way with real processes: a worker killed half way, a submit that is run again, an `up` that is stopped and
# started: every image ends in exactly one record.
. "$(dirname "$0")/lib.sh"
data=$WORK/data
images=$WORK/images
COPIES=${COPIES:-3}

mkdir "$images"
for i in $(seq "$COPIES"); do
    for file in "$ROOT"/tests/e2e/corpus/files/*; do
        cp "$file" "$images/$i-$(basename "$file")"
    done
done
total=$(find "$images" -mindepth 1 | wc -l)

up_start "$data" --workers 2 --grace 20
"$FERRET" submit "$images" --max-tokens 48 >"$WORK/name" || die "submit failed"
campaign=$(cat "$WORK/name")
want "lines that submit prints" 1 "$(wc -l <"$WORK/name")"
want "jobs in the campaign" "$total" "$(campaign_field "$campaign" total)"

some_done() { [ "$(campaign_field "$campaign" done)" -ge 3 ]; }
wait_for 120 some_done || die "nothing is done after two minutes"
kill -9 "$(worker_pid 0)"

# The same command again adds nothing, finished or not.
"$FERRET" submit "$images" --max-tokens 48 >"$WORK/again" || die "second submit failed"
want "name from the second submit" "$campaign" "$(cat "$WORK/again")"
want "jobs after the second submit" "$total" "$(campaign_field "$campaign" total)"

# State outlives the programs.
up_stop
want "exit code of up" 0 "$UP_CODE"
up_start "$data" --workers 2
want "jobs after a restart" "$total" "$(campaign_field "$campaign" total)"
timeout 400 "$FERRET" watch "$campaign" 2>"$WORK/watch.log"
code=$?
want "last words of watch" "$campaign: " "$(tail -n 1 "$WORK/watch.log" | grep -o "^$campaign: ")"

"$FERRET" status "$campaign" --json >"$WORK/status.json"
done_count=$(field done <"$WORK/status.json")
failed_count=$(field failed <"$WORK/status.json")
want "done and failed together" "$total" "$((done_count + failed_count))"
if [ "$failed_count" -gt 0 ]; then want "exit code of watch" 1 $code; else want "exit code of watch" 0 $code; fi

"$FERRET" export "$campaign" --format jsonl -o - >"$WORK/a.jsonl" || die "export failed"
"$FERRET" export "$campaign" --format jsonl -o "$WORK/b" || die "export to a folder failed"
cmp <(sort "$WORK/a.jsonl") <(cat "$WORK"/b/*.jsonl.zst | zstd -dc | sort) || die "two exports differ"
python3 - "$WORK/a.jsonl" "$total" "$done_count" <<'PYTHON' || die "records are not as they should be"
import collections, json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
ids = collections.Counter(r['id'] for r in records)
assert len(records) == int(sys.argv[2]), f'{len(records)} records for {sys.argv[2]} images'
assert max(ids.values()) == 1, f'twice: {[k for k, n in ids.items() if n > 1]}'
ok = [r for r in records if r['status'] != 'failed']
assert len(ok) == int(sys.argv[3]), f'{len(ok)} records without failure, status says {sys.argv[3]}'
for r in records:
    if r['status'] == 'failed':
        assert r['error']['code'] and r['error']['class'] == 'permanent', r
PYTHON

"$FERRET" submit "$images" --max-tokens 48 >/dev/null || die "third submit failed"
want "jobs after the third submit" "$total" "$(campaign_field "$campaign" total)"
want "done after the third submit" "$done_count" "$(campaign_field "$campaign" done)"

# The same name with another task is another thing, and is refused.
"$FERRET" submit "$images" --campaign "$campaign" --task locate --phrase ball 2>"$WORK/err"
want "exit code of a submit with other options" 4 $?
