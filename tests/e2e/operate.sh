#!/bin/bash
# What operators do, with real programs: two models in one queue, single jobs, what failed and is tried again, a worker
# drained, a URI forgotten (also in files that were exported), a campaign purged, and fsck on a queue that was damaged.
. "$(dirname "$0")/sleepers.sh"
queue_start 64mb
sleeper_start model-a/f32 8 1000
a=$SLEEPER_PID
wait_for 10 n_sessions_are 1 || die "no worker"

python3 - >"$WORK/in.jsonl" <<'PYTHON'
for i in range(40):
    print('{"id":"%s-%d","image":"local:%d.png"}' % ('bad' if i % 10 == 0 else 'good', i, i))
PYTHON
"$FERRET" submit "$WORK/in.jsonl" --campaign first --label season=winter >/dev/null || die "submit"
is_completed() { [ "$(campaign_field "$1" completed)" = True ]; }
wait_for 30 is_completed first || die "not complete: $("$FERRET" status)"
want "labels" season=winter "$(campaign_field first labels)"
want "failed" 4 "$(campaign_field first failed)"
"$FERRET" admin events --json | tail -n 1 | grep -q '"event":"completed","campaign":"first"' || die "$("$FERRET" admin events)"

# Another model: its campaign waits for it, is shown so, and the first worker never gets it.
sleeper_start model-b/f32 8 1000
b=$SLEEPER_PID
wait_for 10 n_sessions_are 2 || die "no second worker"
kill $a
wait $a 2>/dev/null
wait_for 10 n_sessions_are 1 || die "the first worker did not say goodbye"
"$FERRET" submit "$WORK/in.jsonl" --campaign second >/dev/null || die "second submit"
wait_for 30 is_completed second || die "second: $("$FERRET" status)"
want "retried images of a model that is not there" 4 "$("$FERRET" retry first --failed --json | field retried)"
want "why it waits" no-worker "$(campaign_field first stopped)"
want "ready" 4 "$(campaign_field first ready)"
sleeper_start model-a/f32 8 1000
a=$SLEEPER_PID
wait_for 30 is_completed first || die "first again: $("$FERRET" status)"
want "failed again" 4 "$(campaign_field first failed)"
want "records" 40 "$("$FERRET" export first -o - | wc -l)"

# One job.
"$FERRET" show first --job bad-0 --json >"$WORK/job.json" || die "show"
want "its state" failed "$(field state <"$WORK/job.json")"
id=$(field id <"$WORK/job.json")
want "found by its id" "$id" "$("$FERRET" show "$id" --json | field id)"
want "dead ones" 4 "$("$FERRET" admin dead first --json | grep -c '"code":"as-told"')"
"$FERRET" cancel first --job good-1 --yes 2>/dev/null
want "exit code of a cancel that comes too late" 4 $?
"$FERRET" show 00000000000000000000000000000000 2>/dev/null
want "exit code for a job that nobody knows" 2 $?
"$FERRET" pause first
"$FERRET" retry "$id" --json >/dev/null || die "retry"
"$FERRET" cancel "$id" --yes || die "cancel"
"$FERRET" resume first
is_cancelled() { [ "$(campaign_field first cancelled)" = 1 ]; }
wait_for 10 is_cancelled || die "not cancelled: $("$FERRET" status)"
"$FERRET" admin purge second </dev/null 2>/dev/null
want "exit code of a purge without --yes" 4 $?

# Forgotten: out of the queue, and out of files that were written before.
records() { cat "$WORK"/out/*.jsonl.zst | zstd -dc; }
timeout 30 "$FERRET" export first --follow -o "$WORK/out" 2>/dev/null || die "export"
lines=$(records | wc -l)
records | grep -q '"uri":"local:10.png"' || die "no record of what is to be forgotten"
"$FERRET" admin forget local:10.png --yes --json >/dev/null || die "forget"
timeout 30 "$FERRET" export first --follow -o "$WORK/out" 2>/dev/null || die "export after forget"
want "lines" $((lines - 1)) "$(records | wc -l)"
records | grep -q 'local:10.png' && die "a forgotten record is still in the files"
want "forgotten records by the manifest" 1 "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["counts"]["forgotten"])' "$WORK/out/_manifest.json")"
(cd "$WORK/out" && python3 -c 'import json; [print(f["sha256"], "", f["name"]) for f in json.load(open("_manifest.json"))["files"]]' | sha256sum -c --quiet) ||
    die "the manifest's sums are wrong"
want "dead ones that are left" 2 "$("$FERRET" admin dead first --json | wc -l)"

# A drained worker ends by itself.
"$FERRET" admin drain "$("$FERRET" admin queue --json | python3 -c '
import json, sys
print([w["session"] for w in json.load(sys.stdin)["workers"] if w["class"] == "model-b/f32"][0])')" || die "drain"
is_gone() { ! kill -0 $b 2>/dev/null; }
wait_for 10 is_gone || die "the drained worker goes on"

# fsck: clean, then damaged in five ways, put right, clean again.
"$FERRET" pause first
"$FERRET" retry first --failed 2>/dev/null
fsck() { "$FERRET" admin fsck --redis "$WORK/redis.sock" --json "$@"; }
want "problems at first" 0 "$(fsck | field problems)"
[ "$(redis LLEN '{q:0}:rq:1:1')" -gt 0 ] || die "nothing waits"
python3 - "$WORK/redis.sock" <<'PYTHON' || die "could not damage the queue"
import socket, sys
def ask(*words):
    s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
    return s.recv(4096)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
K = b'{q:0}:'
first = ask(b'LINDEX', K + b'rq:1:1', b'0')[5:21]
ask(b'LPOP', K + b'rq:1:1')                                     # a job that is nowhere
ask(b'RPUSH', K + b'rq:1:1', b'no job of ours !')               # a place without a job
second = ask(b'LINDEX', K + b'rq:1:1', b'0')[5:21]
ask(b'RPUSH', K + b'rq:1:1', second)                            # twice in a list
third = ask(b'LINDEX', K + b'rq:1:1', b'1')[5:21]
ask(b'HSET', K + b'run:a session long go', b'job not there!!!', b'0|0|0|1|1|')  # left over from a session
ask(b'HINCRBY', K + b'c:1', b'ready', b'5')                     # a counter that is wrong
PYTHON
fsck >"$WORK/fsck.json"
want "exit code of fsck on a damaged queue" 1 $?
fsck --repair --yes >"$WORK/fsck.json"
[ "$(field problems <"$WORK/fsck.json")" -ge 4 ] || die "fsck: $(cat "$WORK/fsck.json")"
fsck --repair --yes >/dev/null # the counters, now that all places are right
fsck >"$WORK/fsck.json"
want "exit code of fsck afterwards" 0 $?
want "problems afterwards" 0 "$(field problems <"$WORK/fsck.json")"
"$FERRET" resume first
wait_for 20 is_completed first || die "after the repair: $("$FERRET" status)"
want "all accounted for" 40 $(($(campaign_field first done) + $(campaign_field first failed) + $(campaign_field first cancelled)))

"$FERRET" admin purge second --yes
is_purged() { ! "$FERRET" status second; }
wait_for 10 is_purged || die "second is still there"
