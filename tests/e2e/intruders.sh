#!/bin/bash
# Whoever floods, stalls, sends garbage, half messages, wrong versions or others' ids hurts only itself: another client
# is answered all the while, and the broker does not grow. One kind after the other, on real programs.
. "$(dirname "$0")/lib.sh"
INTRUDER=$BIN/../test/e2e/intruder
[ -x "$INTRUDER" ] || { echo "$INTRUDER is not built"; exit 77; }
command -v redis-server >/dev/null || { echo "redis-server is not installed"; exit 77; }
RUN_S=${RUN_S:-1}
WORST_MS=${WORST_MS:-2500} # of one call, while the machine may be busy with others
GROWS_MB=160               # of a broker with one peer that does its worst: what it holds for it is bounded
pids=()
stop_all() {
    code=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    wait
    (exit $code)
    finish
}
trap stop_all EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
redis-server --port 0 --unixsocket "$WORK/redis.sock" --dir "$WORK" --save '' --appendonly yes --appendfsync always \
    --maxmemory 300mb --maxmemory-policy noeviction >"$WORK/redis.log" &
pids+=($!)
redis() { redis-cli -s "$WORK/redis.sock" --raw "$@"; }
wait_for 10 redis PING || die "no Redis"
"$FERRET" admin keygen -o "$WORK/keys" 2>/dev/null || die "keygen failed"
"$FERRET" admin keygen bad -o "$WORK/keys" --role submit --role work --tenant acme --tenant default 2>/dev/null || die "keygen failed"
guarded=tcp://127.0.0.1:$(free_port)
workers=tcp://127.0.0.1:$(free_port)
plain=tcp://127.0.0.1:$(free_port)
"$BIN/ferret-broker" --redis "$WORK/redis.sock" --client-bind "$guarded" --worker-bind "$workers" \
    --key-file "$WORK/keys/broker.key" 2>"$WORK/guarded.log" &
guarded_broker=$!
"$BIN/ferret-broker" --redis "$WORK/redis.sock" --client-bind "$plain" --worker-bind "ipc://$WORK/w" 2>"$WORK/plain.log" &
plain_broker=$!
pids+=($guarded_broker $plain_broker)
resident_mb() { awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$1/status"; }

# hurt WHAT ADDRESS KEYS BROKER CALLS: another client goes on beside it, with so many calls at least.
hurt() {
    local what=$1 address=$2 keys=$3 broker=$4 own=$WORK/keys/submit.key
    [ "$address" != "$plain" ] || own=-
    local seen=$guarded before calls median worst
    [ "$address" != "$plain" ] || seen=$plain
    before=$(resident_mb "$broker")
    "$INTRUDER" "$what" "$address" "$keys" "$RUN_S" 2>"$WORK/intruder.log" &
    local intruder=$!
    "$INTRUDER" probe "$seen" "$own" "$RUN_S" >"$WORK/probe" 2>"$WORK/err" || die "$what: $(cat "$WORK/err")"
    wait $intruder || die "$what: $(cat "$WORK/intruder.log")"
    kill -0 "$broker" 2>/dev/null || die "$what: the broker is gone: $(tail -n 3 "$WORK"/*.log)"
    read -r calls median worst <"$WORK/probe"
    echo "$what: $calls calls beside it, median $median ms, worst $worst ms; broker $before -> $(resident_mb "$broker") MB"
    [ "$calls" -ge "$5" ] || die "$what: another client had $calls calls answered in $RUN_S s, not $5"
    [ "$worst" -le "$WORST_MS" ] || die "$what: a call of another client took $worst ms"
    [ $(($(resident_mb "$broker") - before)) -le $GROWS_MB ] || die "$what: the broker grew to $(resident_mb "$broker") MB"
}
"$INTRUDER" probe "$guarded" "$WORK/keys/submit.key" 0.5 >/dev/null || die "no broker: $(cat "$WORK/guarded.log")"
want "tenant of the campaign that is left alone" default "$(redis HGET '{q:0}:c:1' tenant)"
# Without the budgets and queues of a peer the last three leave it one call or none, and frames a few.
hurt garbage "$guarded" - $guarded_broker 8
hurt stall "$guarded" - $guarded_broker 8
hurt half "$plain" - $plain_broker 8
hurt frames "$guarded" "$WORK/keys/bad.key" $guarded_broker 8
hurt frames "$workers" "$WORK/keys/bad.key" $guarded_broker 8
hurt questions "$guarded" "$WORK/keys/bad.key" $guarded_broker 5
hurt mute "$guarded" "$WORK/keys/bad.key" $guarded_broker 5
hurt submits "$guarded" "$WORK/keys/bad.key" $guarded_broker 2
want "state of the campaign" active "$(redis HGET '{q:0}:c:1' state)"
