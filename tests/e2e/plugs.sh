#!/bin/bash
# Pulls every plug in the middle of a run, one after the other: kill -9 of a worker, the broker, Redis, a submit and
# `ferret up` itself. After restarts each image has exactly one record, and nothing is left behind.
. "$(dirname "$0")/lib.sh"
data=$WORK/data
images=$WORK/images
TOTAL=${TOTAL:-300}
QUESTIONS=${QUESTIONS:-3}

# Small images, each another one, with tasks enough that the run outlasts its plugs.
mkdir "$images"
python3 - "$images" "$TOTAL" "$QUESTIONS" <<'PYTHON'
import json, pathlib, struct, sys, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
for i in range(int(sys.argv[2])):
    rows = b''.join(b'\0' + bytes((x * i + y * 7 + c * 31) % 256 for x in range(24) for c in range(3)) for y in range(24))
    png = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 24, 24, 8, 2, 0, 0, 0))
    png += chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')
    pathlib.Path(sys.argv[1], f'{i:04}.png').write_bytes(png)
with open(pathlib.Path(sys.argv[1], 'm.jsonl'), 'w') as lines:
    for i in range(int(sys.argv[2])):
        tasks = ['caption'] + ['ask'] * int(sys.argv[3])
        print(json.dumps({'id': f'{i:04}', 'image': f'{i:04}.png', 'tasks': [
            {'kind': kind} | ({'question': f'What is there, part {n}?'} if kind == 'ask' else {})
            for n, kind in enumerate(tasks)]}), file=lines)
PYTHON

pid_of() { sed -n "s/.* up: $1 started, process \([0-9]*\)$/\1/p" "$WORK/up.log" | tail -n 1; }
ended() { "$FERRET" status "$campaign" --json | python3 -c 'import json, sys; c = json.load(sys.stdin); print(c["done"] + c["failed"])'; }

# The counters add up at every look, whatever was killed just now.
adds_up() {
    python3 -c '
import json, sys
keys = ["campaign", "total", "done", "failed", "ready", "running", "delayed", "cancelled", "workers", "state"]
for line in sys.stdin:
    c = json.loads(line)
    assert [k for k in c if k in keys] == keys, list(c)
    assert c["total"] == sum(c[k] for k in ("done", "failed", "ready", "running", "delayed", "cancelled")), line'
}
at_least() { [ "$(ended)" -ge "$1" ]; }
look() { "$FERRET" status "$campaign" --json | adds_up || die "status does not add up"; }
kill_and_see() { # NAME: it is started again, and the counters are right
    local pid
    pid=$(pid_of "$1")
    kill -9 "$pid"
    restarted() { [ "$(pid_of "$1")" != "$pid" ]; }
    wait_for 15 restarted "$1" || die "$1 was not started again"
    look
}

up_start "$data" --workers 2
campaign=plugs
submit() { "$FERRET" submit "$images/m.jsonl" --campaign $campaign --max-tokens 12; }

# A submit that dies on the way; the same command again adds what is missing.
submit >/dev/null 2>&1 &
victim=$!
some_there() { [ "$("$FERRET" status "$campaign" --json | field total)" -ge 1 ]; }
wait_for 30 some_there || die "submit puts nothing in"
kill -9 $victim 2>/dev/null
wait $victim 2>/dev/null
submit >"$WORK/name" || die "submit failed"
want "jobs in the campaign" "$TOTAL" "$(campaign_field $campaign total)"

"$FERRET" watch $campaign --json --interval 0.2 >"$WORK/ticks" 2>"$WORK/watch.log" &
watch=$!
wait_for 60 at_least $((TOTAL / 20)) || die "nothing is done"
kill_and_see worker-0
wait_for 60 at_least $((TOTAL / 10)) || die "it does not go on without a worker"
kill_and_see broker
wait_for 60 at_least $((TOTAL / 5)) || die "it does not go on after the broker's end"
kill_and_see redis
wait_for 60 at_least $((TOTAL / 4)) || die "it does not go on after the end of Redis"
[ "$(ended)" -lt "$TOTAL" ] || die "all was over before the last plug: more images are needed"

# The whole machine's worth; what hung on it ends by itself, and the folder can be used again at once.
orphans="$(pid_of worker-0) $(pid_of worker-1) $(pid_of broker) $(pid_of redis)"
kill -9 "$UP_PID"
wait "$UP_PID" 2>/dev/null
UP_PID=
up_start "$data" --workers 2
"$FERRET" up --data "$data" 2>"$WORK/second"
want "exit code of a second up on the folder" 4 $?
look
timeout 300 "$FERRET" watch $campaign 2>>"$WORK/watch.log"
want "exit code of watch" 0 $?
wait $watch # it may have given up while nobody answered
adds_up <"$WORK/ticks" || die "watch does not add up"
gone() { for pid in $orphans; do ! kill -0 "$pid" 2>/dev/null || return 1; done; }
wait_for 20 gone || die "processes of the killed up are still there: $(ps -o pid,args -p "${orphans// /,}")"

submit >/dev/null || die "submit after the end failed"
"$FERRET" status $campaign --json >"$WORK/status.json"
want "jobs after another submit" "$TOTAL" "$(field total <"$WORK/status.json")"
want "done" "$TOTAL" "$(field done <"$WORK/status.json")"
"$FERRET" export $campaign -o - >"$WORK/records.jsonl" || die "export failed"
python3 - "$WORK/records.jsonl" "$TOTAL" <<'PYTHON' || die "records are not as they should be"
import collections, json, sys
ids = collections.Counter(json.loads(line)['id'] for line in open(sys.argv[1]))
want = {f'{i:04}' for i in range(int(sys.argv[2]))}
assert set(ids) == want, f'missing {sorted(want - set(ids))[:5]}, strange {sorted(set(ids) - want)[:5]}'
assert max(ids.values()) == 1, f'twice: {[k for k, n in ids.items() if n > 1][:5]}'
PYTHON

# Killed with nothing after it: nobody stays.
orphans="$(pid_of worker-0) $(pid_of worker-1) $(pid_of broker) $(pid_of redis)"
kill -9 "$UP_PID"
wait "$UP_PID" 2>/dev/null
UP_PID=
wait_for 30 gone || die "processes outlive their up: $(ps -o pid,args -p "${orphans// /,}")"
