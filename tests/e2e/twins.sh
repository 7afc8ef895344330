#!/bin/bash
# Images with the same bytes and questions get a copy of the result, which says whose it is: in another campaign and under
# another name, by both routes; not under another prompt, not of another tenant, not of what was forgotten, not of what has
# left the index.
. "$(dirname "$0")/sleepers.sh"
files=$ROOT/tests/e2e/corpus/files
mkdir "$WORK/in" "$WORK/again"
cp "$files/alpha.png" "$files/palette.png" "$WORK/in"
cp "$files/alpha.png" "$WORK/again/another name.png"
cp "$files/palette.png" "$WORK/again"
queue_start 64mb
"$BIN/ferret-broker" --redis "$WORK/redis.sock" --client-bind "ipc://$WORK/clients2" --worker-bind "ipc://$WORK/workers2" \
    --route relay 2>"$WORK/relay.log" &
pids+=($!)

# worker_start SOCKET N
worker_start() {
    "$BIN/ferret-worker" --broker "ipc://$WORK/$1" --root local=/ --dedup "$2" 2>>"$WORK/worker.log" &
    WORKER_PID=$!
    pids+=($WORKER_PID)
}
worker_stop() {
    kill "$WORKER_PID"
    wait "$WORKER_PID"
    want "exit code of a worker that is told to stop" 0 $?
}
# What the index holds, the oldest first.
keys() { redis-cli -s "$WORK/redis.sock" --no-raw LRANGE '{q:0}:twins' 0 -1 | sed 's/^[0-9) ]*//'; }
number_of_run=0
is_completed() { [ -n "$(redis HGET "{q:0}:c:$number_of_run" completed)" ]; }
# run CAMPAIGN FOLDER COPIES [FLAGS]: its records are $WORK/CAMPAIGN.
run() {
    number_of_run=$((number_of_run + 1))
    "$FERRET" submit "$WORK/$2" --root local=/ --campaign "$1" "${@:4}" >/dev/null 2>"$WORK/submit.log" || die "$1: $(cat "$WORK/submit.log" "$WORK/worker.log")"
    wait_for 60 is_completed || die "$1 is not completed: $("$FERRET" status)"
    "$FERRET" export "$1" -o - >"$WORK/$1" 2>"$WORK/export.log" || die "$1: $(cat "$WORK/export.log")"
    want "good records of $1" 2 "$(grep -c '"status":"ok"' "$WORK/$1")"
    want "copied results of $1" "$3" "$(grep -c '"dup_of":' "$WORK/$1")"
}
# told N: the N newest keys were not there before.
known=
are_told() {
    now=$(keys | tail -n "$1")
    [ "$(wc -l <<<"$now")" = "$1" ] && [ -z "$(grep -Fxf <(echo "$known") <<<"$now")" ]
}
told() {
    wait_for 20 are_told "$1" || die "what was computed is not told: $(keys)"
    known=$now
}

worker_start workers 4
run first in 0
told 2
first=$now
run second again 2
python3 - "$WORK/first" "$WORK/second" <<'PYTHON' || die "a copy is not its twin's"
import json, sys
twins, copies = ([json.loads(line) for line in open(name)] for name in sys.argv[1:])
twins = {r["job"]: r for r in twins}
assert len(twins) == len(copies) == 2
for r in copies:
    twin = twins[r["dup_of"]]
    assert r["tasks"] == twin["tasks"] and r["image"]["sha256"] == twin["image"]["sha256"]
    assert "/again/" in r["image"]["uri"] and r["campaign"] == "second" and r["job"] != twin["job"]
    assert r["timings_ms"]["generate"] == 0
PYTHON
run prompted in 0 --task locate --phrase "a duck"
told 2
want "the oldest results in the index" "$first" "$(keys | head -n 2)"
run tenanted in 0 --tenant other
told 2
want "results in the index, of at most 4" 4 "$(redis HLEN '{q:0}:twin')"
run left in 0
told 2
worker_stop

worker_start workers2 100
run relayed in 2
python3 -c 'import json, sys; print(*(r["image"]["uri"] for r in map(json.loads, sys.stdin) if "alpha" in r["image"]["uri"]))' \
    <"$WORK/left" | xargs "$FERRET" admin forget --yes >/dev/null 2>&1 || die "forget"
run forgotten again 1
worker_stop
want "results that were copied" 5 "$("$FERRET" admin queue --json | field 'twins found')"
