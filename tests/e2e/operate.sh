#!/bin/bash
# What operators do, with real programs: two models in one queue, single jobs, what failed and is tried again, a worker
# drained, a URI forgotten (also in files that were exported), records that are none, a campaign purged, and fsck on a
# queue that was damaged.
. "$(dirname "$0")/sleepers.sh"
queue_start 64mb
sleeper_start model-a/f32 8 1000
a=$SLEEPER_PID
wait_for 10 n_sessions_are 1 || die "no worker"

python3 - >"$WORK/in.jsonl" <<'PYTHON'
for i in range(40):
    print('{"id":"%s-%d%s","image":"local:%d.png"}' % ('bad' if i % 10 == 0 else 'good', i, ' my photo' if i == 20 else '', i))
PYTHON
"$FERRET" submit "$WORK/in.jsonl" --campaign first --label season=winter >/dev/null || die "submit"
is_completed() { [ "$(campaign_field "$1" completed)" = True ]; }
wait_for 30 is_completed first || die "not complete: $("$FERRET" status)"
want "labels" season=winter "$(campaign_field first labels)"
want "failed" 4 "$(campaign_field first failed)"
"$FERRET" admin events --json | tail -n 1 | grep -q '"event":"completed","campaign":"first"' || die "$("$FERRET" admin events)"

"$FERRET" export first -o "$WORK/kept" 2>/dev/null || die "export before the retry"

# Times: units on the command line, and the instant that a manifest has too.
head -n 1 "$WORK/in.jsonl" >"$WORK/one.jsonl"
hours() { "$FERRET" show "$1" --job bad-0 --json | python3 -c 'import json, sys, time; job = json.load(sys.stdin); print([round((job[k] - time.time() * 1000) / 3600e3, 1) for k in sys.argv[1:]])' "${@:2}"; }
"$FERRET" submit "$WORK/one.jsonl" --campaign timed --delay 90m --deadline 7200 --max-runtime 90s >/dev/null || die "submit with times"
want "hours to its start and its deadline" "[1.5, 2.0]" "$(hours timed due deadline)"
want "longest run in ms" 90000 "$("$FERRET" show timed --job bad-0 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["job"]["max_runtime"])')"
"$FERRET" submit "$WORK/one.jsonl" --campaign instant --delay 3h --deadline "$(date -d 'now + 4 hours' +%s)000" >/dev/null || die "submit until an instant"
want "hours to that deadline" "[4.0]" "$(hours instant deadline)"
for deadline in "$(date +%s)" 1600000000000; do
    "$FERRET" submit "$WORK/one.jsonl" --campaign never --deadline "$deadline" >/dev/null 2>"$WORK/err"
    want "exit code of --deadline $deadline" 2 $?
    grep -q -- "--deadline $deadline: " "$WORK/err" || die "$(cat "$WORK/err")"
done
for campaign in timed instant; do "$FERRET" cancel "$campaign" --yes >/dev/null || die "cancel $campaign"; done

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
"$FERRET" export first -o "$WORK/kept" 2>/dev/null || die "export after the retry"
want "records in the files of both exports" 44 "$(cat "$WORK"/kept/*.jsonl.zst | zstd -dc | wc -l)"
"$FERRET" report --from "$WORK/kept" --json >"$WORK/report.json" || die "report of a folder"
want "images that the report of the files counts" "40 images, 4 failed" "$(field images <"$WORK/report.json") images, $(field failed <"$WORK/report.json") failed"
want "what the files and the queue hold" "$("$FERRET" export first -o - | sort | sha256sum)" "$("$FERRET" export --from "$WORK/kept" -o - | sort | sha256sum)"

# One job.
"$FERRET" show first --job bad-0 --json >"$WORK/job.json" || die "show"
want "its state" failed "$(field state <"$WORK/job.json")"
id=$(field id <"$WORK/job.json")
want "found by its id" "$id" "$("$FERRET" show "$id" --json | field id)"
want "dead ones" 4 "$("$FERRET" admin dead first --json | grep -c '"code":"as-told"')"
by_code=$(sed -n 's/^\*\*Look\*\*: `\(ferret admin dead CAMPAIGN [^`]*| uniq -c\)`.*/\1/p' "$ROOT/deploy/RUNBOOK.md")
want "errors by code, as the runbook counts them" '4 "code":"as-told"' "$(eval "${by_code/CAMPAIGN/first}" | sed 's/^ *//')"
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
"$FERRET" report first >/dev/null 2>"$WORK/err" || die "report"
grep -q ' records have left Redis and are not in this report' "$WORK/err" || die "a report of what is left says nothing of the rest: $(cat "$WORK/err")"
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

# What a worker wrote is no record: it ends as a failed one, once, under the input's id where that is there.
for i in $(seq 12); do printf '{"id":"m-%d","image":"local:%d.png"}\n' "$i" "$i"; done >"$WORK/in.jsonl"
"$FERRET" submit "$WORK/in.jsonl" --campaign mangled >/dev/null || die "submit"
wait_for 30 is_completed mangled || die "mangled: $("$FERRET" status)"
"$FERRET" export mangled -o - >"$WORK/whole.jsonl" || die "export"
python3 - "$WORK" "$(redis HGET '{q:0}:camp' mangled)" <<'PYTHON' || die "could not mangle the records"
import json, socket, sys
work, number = sys.argv[1], sys.argv[2].encode()
s = socket.socket(socket.AF_UNIX)
s.connect(work + '/redis.sock')
answers = s.makefile('rb')
def ask(*words):
    s.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
    return answer()
def answer():
    head = answers.readline()
    if head[:1] == b'*':
        return [answer() for _ in range(int(head[1:]))]
    return answers.read(int(head[1:]) + 2)[:-2] if head[:1] == b'$' else head
bad = {  # id in the record: what becomes of it, and the id that it is to end under
    'm-1': (b'no JSON', None), 'm-2': (b'', None), 'm-3': (b'{"schema":1,"id":"m-3","stat', None), 'm-4': (b'[1,2]', None),
    'm-5': (b'{}', None), 'm-6': (b'{"schema":1,"id":7,"status":"ok"}', None), 'm-7': (b'{"id":"m-7"}', 'm-7'),
    'm-8': (b'{"schema":1,"id":"m-8","status":"ok","image":{}}', 'm-8'), 'm-9': (b'\xff\xfe\x00', None)}
key, expected = b'{q:0}:res:' + number, []
fields = ask(b'HGETALL', key)
for field, record in zip(fields[::2], fields[1::2]):
    id = json.loads(record)['id']
    if id in bad:
        ask(b'HSET', key, field, bad[id][0])
    job = field[:16].hex()
    expected.append(['no_record', bad[id][1] or job, job] if id in bad else ['whole', id, ''])
assert len(expected) == 12, expected
json.dump(expected, open(work + '/expected.json', 'w'))
PYTHON
"$FERRET" export mangled -o - >"$WORK/stream.jsonl"
want "exit code of an export of what is no record" 0 $?
timeout 30 "$FERRET" export mangled --follow -o "$WORK/mangled" 2>"$WORK/err"
want "exit code of an export that follows it" 0 $?
zstd -dc "$WORK"/mangled/part-*.zst >"$WORK/part.jsonl"
zstd -dc "$WORK"/mangled/errors-*.zst >"$WORK/errors.jsonl"
python3 - "$WORK" <<'PYTHON' || die "what is no record is not exported as it should be"
import json, sys
work = sys.argv[1]
lines = lambda name: open(work + '/' + name).read().splitlines()
expected, whole = json.load(open(work + '/expected.json')), set(lines('whole.jsonl'))
def found(line):
    record = json.loads(line)
    return ['whole', record['id'], ''] if line in whole else [record['error']['code'], record['id'], record['job']]
for names in ['stream.jsonl'], ['part.jsonl', 'errors.jsonl']:
    rows = [found(line) for name in names for line in lines(name)]
    assert sorted(rows) == sorted(expected), (names, rows, expected)
assert len(lines('errors.jsonl')) == 9, lines('errors.jsonl')
PYTHON

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

"$FERRET" admin purge second --yes || die "purge"
"$FERRET" status second 2>/dev/null && die "second is still there when its purge has ended"
"$FERRET" submit "$WORK/one.jsonl" --campaign second >/dev/null || die "the name of what was purged is not free"
