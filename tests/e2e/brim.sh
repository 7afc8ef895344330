#!/bin/bash
# Redis filled to the brim under load: the submit waits, work stops, no session lapses - not even in a Redis that is over
# its limit - and once results leave by `export --follow`, which is killed twice, everything drains by itself: each
# record exactly once.
. "$(dirname "$0")/sleepers.sh"
TOTAL=6000
queue_start 12mb --result-memory 3MiB
for _ in 1 2; do sleeper_start model/f32 64 200; done
wait_for 10 n_sessions_are 2 || die "no workers"
sessions() { redis ZRANGE '{q:0}:sess' 0 -1 | sort | sha256sum; }
before=$(sessions)

python3 - $TOTAL >"$WORK/in.jsonl" <<'PYTHON'
import sys
for i in range(int(sys.argv[1])):
    print('{"id":"%06d-%s","image":"local:%d.png"}' % (i, 'x' * 1500, i))
PYTHON
"$FERRET" submit "$WORK/in.jsonl" --campaign brim --retries 0 >/dev/null 2>"$WORK/submit.log" &
submit=$!
pids+=($submit)
is_full() { [ "$(campaign_field brim stopped 2>/dev/null)" = results ] && grep -q 'waiting: Redis is over 70 % full' "$WORK/submit.log"; }
wait_for 60 is_full || die "never full: $(cat "$WORK/submit.log"; "$FERRET" status)"
done_before=$(campaign_field brim done)
kill -0 $submit || die "submit gave up: $(cat "$WORK/submit.log")"

# Far over the limit for two leases: what keeps sessions alive still runs.
redis CONFIG SET maxmemory 4mb >/dev/null
sleep 3.2
want "sessions in a full Redis" "$before" "$(sessions)"
want "work done meanwhile" "$done_before" "$(campaign_field brim done)"
redis CONFIG SET maxmemory 12mb >/dev/null

for _ in 1 2; do
    "$FERRET" export brim --follow -o "$WORK/out" 2>"$WORK/export.log" &
    sink=$!
    sleep 0.7
    kill -9 $sink
    wait $sink 2>/dev/null
done
timeout 120 "$FERRET" export brim --follow --part-bytes 2MiB --json -o "$WORK/out" >"$WORK/end.json" 2>"$WORK/export.log" ||
    die "export: $(cat "$WORK/export.log"; "$FERRET" status)"
wait $submit
want "exit code of submit" 0 $?
want "cursor at the end" $TOTAL "$(field cursor <"$WORK/end.json")"
want "sessions at the end" "$before" "$(sessions)"
want "done" $TOTAL "$(campaign_field brim done)"
want "records left in Redis" 0 "$(redis HLEN '{q:0}:res:1')"
want "bytes of records left" 0 "$(redis HGET '{q:0}:use' held)"
python3 - $TOTAL "$WORK"/out/part-*.jsonl.zst <<'PYTHON' || die "records are not as they should be"
import json, subprocess, sys
assert len(sys.argv) > 3, 'one file only'
ids = [json.loads(line)['id'] for line in subprocess.run(['zstd', '-dc', *sys.argv[2:]], check=True, capture_output=True).stdout.splitlines()]
manifest = json.load(open(sys.argv[2].rpartition('/')[0] + '/_manifest.json'))
assert manifest['complete'] and manifest['counts']['ok'] == len(ids), manifest
assert len(ids) == int(sys.argv[1]) and len(set(ids)) == len(ids), f'{len(ids)} records, {len(set(ids))} of them different'
PYTHON

# Run again there is nothing to do; a folder of another campaign is refused.
timeout 30 "$FERRET" export brim --follow -o "$WORK/out" 2>/dev/null
want "exit code of a second export" 0 $?
timeout 30 "$FERRET" export brim --follow -o "$WORK/out2" 2>"$WORK/export.log"
want "exit code of an export that comes too late" 4 $?
grep -q 'taken out of the queue by another export' "$WORK/export.log" || die "$(cat "$WORK/export.log")"
