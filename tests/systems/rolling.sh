#!/bin/bash
# deploy/UPGRADE.md as it stands: workers, brokers and Redis are replaced one after the other while a campaign runs. No
# image is lost, fails for it, or has two records, and somebody works all the time.
. "$(dirname "$0")/../e2e/lib.sh"
files=$ROOT/tests/e2e/corpus/files
declare -A PID
start() { # NAME COMMAND...
    local name=$1
    shift
    "$@" 2>>"$WORK/$name.log" >&2 &
    PID[$name]=$!
}
end_all() { kill "${PID[@]}" 2>/dev/null; wait "${PID[@]}" 2>/dev/null; }
trap 'code=$?; end_all; (exit $code); finish' EXIT
mkdir "$WORK/redis"
redis() { start redis redis-server "$ROOT/deploy/redis.conf" --port 0 --unixsocket "$WORK/redis.sock" --dir "$WORK/redis" --logfile "$WORK/redis.log"; }
broker() { start "broker-$1" ferret-broker --redis "$WORK/redis.sock" --client-bind "ipc://$WORK/clients-$1" --worker-bind "ipc://$WORK/workers-$1"; }
worker() { start "worker-$1" ferret-worker --broker "ipc://$WORK/workers-a,ipc://$WORK/workers-b" --root "photos=$files" --threads 1; }
export FERRET_BROKER=ipc://$WORK/clients-a,ipc://$WORK/clients-b
redis
broker a
broker b
wait_for 20 ferret status || die "no broker: $(cat "$WORK"/broker-*.log)"
worker 1
worker 2
workers() { ferret admin queue --json | python3 -c 'import json, sys; print(sum(w["state"] != "draining" for w in json.load(sys.stdin)["workers"]))'; }
are_there() { [ "$(workers)" = "$1" ]; }
wait_for 60 are_there 2 || die "workers: $(workers)"
python3 - "$files" >"$WORK/many.jsonl" <<'PY'
import json, os, sys
for turn in range(12):
    for name in sorted(os.listdir(sys.argv[1])):
        print(json.dumps({"id": f"{turn}/{name}", "image": f"photos:{name}"}))
PY
ferret submit "$WORK/many.jsonl" --campaign rolling --root "photos=$files" || die "submit"
unfinished() { ferret status rolling --json | python3 -c 'import json, sys; c = json.load(sys.stdin); print(c["ready"] + c["running"] + c["delayed"])'; }

replace() { # NAME, then how it is started
    [ "$(unfinished)" -gt 0 ] || die "the campaign was over before $1 was replaced"
    kill -TERM "${PID[$1]}"
    wait "${PID[$1]}"
    want "exit code of $1, told to stop" 0 $?
    shift
    "$@"
}
for n in 1 2; do
    replace "worker-$n" worker $n
    wait_for 60 are_there 2 || die "worker $n is not back"
done
for n in a b; do
    replace "broker-$n" broker $n
    FERRET_BROKER=ipc://$WORK/clients-$n wait_for 30 ferret status || die "broker $n is not back"
done
replace redis redis
wait_for 60 ferret status || die "no answer after Redis was replaced"
is_complete() { [ "$(campaign_field rolling completed)" = True ]; }
wait_for 400 is_complete || die "not complete: $(ferret status rolling)"
ferret status rolling
expected=$(wc -l <"$WORK/many.jsonl")
ferret export rolling -o - | python3 -c '
import collections, json, sys
records = [json.loads(line) for line in sys.stdin]
ids = collections.Counter(r["id"] for r in records)
assert max(ids.values()) == 1, ids.most_common(3)
print(len(ids), sorted({r["error"]["code"] for r in records if r["status"] != "ok" and "error" in r}))' >"$WORK/seen" || die "records"
want "images with a record" "$expected" "$(cut -d' ' -f1 "$WORK/seen")"
# One file of the corpus is no image.
want "failed images" 12 "$(campaign_field rolling failed)"
ferret admin fsck --redis "$WORK/redis.sock" || die "fsck"
