#!/bin/bash
# The queue on a Redis Cluster: three masters and three replicas with deploy/redis-cluster.conf, but that replicas may take
# over, six shards, two brokers, one of each route. Under load a shard's slot moves to another node, and a master is killed so that its replica takes over. What was
# accepted and is lost by that is counted, submit handed in again repairs it, and afterwards every job has one record.
. "$(dirname "$0")/../e2e/lib.sh"
SLEEPER=$BIN/../test/chaos-sleeper
N=${N:-16000} SHARDS=6
command -v redis-server >/dev/null || { echo "redis-server is not installed"; exit 0; }
pids=()
stop_all() {
    code=$?
    [ $code -eq 0 ] || tail -n 8 "$WORK"/redis-*.log "$WORK"/broker-*.log "$WORK"/worker-*.log "$WORK"/submit.* >&2
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    (exit $code)
    finish
}
trap stop_all EXIT
node() { redis-cli -h 127.0.0.1 -p "$@"; }
port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ---- the cluster
# A node's bus has its port + 10000, all below those that the system gives to whoever connects.
base=$((10000 + RANDOM % 12000))
ports_are_free() { for i in 0 1 2 3 4 5; do port_is_free $((base + i)) && port_is_free $((base + 10000 + i)) || return 1; done; }
until ports_are_free; do base=$((base + 11)); done
declare -A pid_of
sed "s|^include .*|include $ROOT/deploy/redis.conf|" "$ROOT/deploy/redis-cluster.conf" >"$WORK/node.conf"
start_node() {
    mkdir -p "$WORK/$1"
    redis-server "$WORK/node.conf" --bind 127.0.0.1 --port "$1" --dir "$WORK/$1" --maxmemory 128mb --cluster-node-timeout 1500 \
        --cluster-replica-no-failover no --repl-diskless-sync-delay 0 >>"$WORK/redis-$1.log" &
    pid_of[$1]=$!
    pids+=($!)
}
nodes=()
for i in 0 1 2 3 4 5; do
    start_node $((base + i))
    nodes+=("127.0.0.1:$((base + i))")
done
for i in 0 1 2 3 4 5; do wait_for 20 node $((base + i)) PING || die "no node"; done
redis-cli --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes >"$WORK/create.txt" || die "$(tail -n 3 "$WORK/create.txt")"
is_whole() { node $base CLUSTER INFO | grep -q cluster_state:ok; }
wait_for 30 is_whole || die "the cluster does not come up"
replicas_follow() { ! node $base CLUSTER NODES | grep slave | grep -qv connected; }
wait_for 30 replicas_follow || die "replicas do not follow"
slot_of() { node $base CLUSTER KEYSLOT "{q:$1}"; }
# The port of a shard's master, as the node at port $2 sees it.
master_of() {
    node "$2" CLUSTER NODES | awk -v slot="$(node "$2" CLUSTER KEYSLOT "{q:$1}")" '$3 ~ /master/ && $3 !~ /fail/ {
        for (i = 9; i <= NF; i++) {
            split($i, range, "-")
            if ($i !~ /\[/ && slot >= range[1] + 0 && slot <= (range[2] == "" ? range[1] : range[2]) + 0) {
                split($2, address, /[:@]/)
                print address[2]
                exit
            }
        }
    }'
}

# ---- brokers and workers
start_broker() { # NAME ROUTE FLAGS
    "$BIN/ferret-broker" --redis "$(IFS=,; echo "${nodes[*]}")" --client-bind "ipc://$WORK/clients-$1" \
        --worker-bind "ipc://$WORK/workers-$1" --lease-ms 4000 --beat-ms 1000 --route "$2" "${@:3}" 2>>"$WORK/broker-$1.log" &
    pids+=($!)
}
export FERRET_BROKER=ipc://$WORK/clients-a,ipc://$WORK/clients-b
start_broker a direct --shards $SHARDS --replicas 1 --replicas-ms 300
wait_for 30 test -S "$WORK/clients-a" || die "no broker"
start_broker b relay --replicas 1 --replicas-ms 300
wait_for 30 test -S "$WORK/clients-b" || die "no second broker"
"$BIN/ferret-broker" --redis "${nodes[3]}" --client-bind "ipc://$WORK/c" --worker-bind "ipc://$WORK/w" --shards 2 2>"$WORK/other.txt"
want "exit code of a broker for another number of shards" 4 $?
grep -q "made with $SHARDS shards, which can't be changed" "$WORK/other.txt" || die "$(cat "$WORK/other.txt")"
for w in a b ab; do
    list=ipc://$WORK/workers-${w%b}
    [ $w = a ] || list=ipc://$WORK/workers-b
    [ $w != ab ] || list=ipc://$WORK/workers-a,ipc://$WORK/workers-b
    "$SLEEPER" "$list" 0123abcd/f32 32 4 12000 2>>"$WORK/worker-$w.log" &
    pids+=($!)
done

# ---- a slot moves under load
python3 -c "
for i in range($N):
    print('{\"id\":\"k%d\",\"image\":\"local:%d.png\"}' % (i, i))" >"$WORK/in.jsonl"
submit() { "$FERRET" submit "$WORK/in.jsonl" --campaign c --json >"$WORK/submit.json" 2>"$WORK/submit.log"; }
submit &
submitting=$!
done_is_over() { [ "$("$FERRET" status c --json 2>/dev/null | field done)" -gt "$1" ]; }
wait_for 30 done_is_over $((N / 20)) || die "nothing is done"
from=$(master_of 0 $base)
for port in $((base)) $((base + 1)) $((base + 2)); do [ "$port" = "$from" ] || to=$port; done
python3 "$(dirname "$0")/move_slot.py" "$from" "$to" "$(slot_of 0)" || die "the slot does not move"
want "the shard's master" "$to" "$(master_of 0 $base)"
before=$("$FERRET" status c --json | field done)
wait_for 30 done_is_over $((before + N / 20)) || die "nothing goes on behind the move"
"$FERRET" admin fsck --redis "${nodes[0]}" >"$WORK/fsck.txt" || die "fsck behind the move: $(cat "$WORK/fsck.txt")"

# ---- a master dies under load
victim=$to
witness=$base
[ $victim != $base ] || witness=$((base + 1))
kill -9 "${pid_of[$victim]}"
before=$("$FERRET" status c --json | field done)
wait_for 60 done_is_over $((before + N / 20)) || die "the other shards do not go on: $("$FERRET" status c --json)"
has_moved() { [ -n "$(master_of 0 $witness)" ] && [ "$(master_of 0 $witness)" != $victim ]; }
wait_for 60 has_moved || die "no failover"
start_node $victim
wait $submitting
want "exit code of submit" 0 $?
submit
want "exit code of submit handed in again" 0 $?
lost=$(field accepted <"$WORK/submit.json")
is_complete() { [ "$("$FERRET" status c --json 2>/dev/null | field completed)" = True ]; }
wait_for 120 is_complete || die "not complete: $("$FERRET" status c --json)"
want "done" $N "$("$FERRET" status c --json | field done)"
"$FERRET" export c -o - >"$WORK/out.jsonl" || die "export"
want "records" $N "$(wc -l <"$WORK/out.jsonl")"
want "different ones" $N "$(python3 -c "
import json, sys
print(len({json.loads(line)['id'] for line in sys.stdin}))" <"$WORK/out.jsonl")"
"$FERRET" admin fsck --redis "${nodes[1]}" >"$WORK/fsck.txt" || die "fsck: $(cat "$WORK/fsck.txt")"

# ---- a replica takes over that has not heard of what was accepted
master=$(master_of 0 $witness)
name=$(node "$master" CLUSTER MYID)
has_replica() { node "$master" CLUSTER NODES | grep slave | grep -v fail | grep -q "$name"; }
wait_for 30 has_replica || die "the master has no replica again"
replica=$(node "$master" CLUSTER NODES | grep slave | grep "$name" | sed 's/^[^ ]* [^:]*:\([0-9]*\)@.*/\1/' | head -n 1)
kill -STOP "${pid_of[$replica]}"
node "$master" CLIENT KILL TYPE replica >/dev/null
head -n 600 "$WORK/in.jsonl" >"$WORK/more.jsonl"
"$FERRET" submit "$WORK/more.jsonl" --campaign d --json >"$WORK/submit.json" 2>"$WORK/submit.log" || die "submit without a replica"
[ "$(field local <"$WORK/submit.json")" -gt 0 ] || die "all is said to be replicated: $(cat "$WORK/submit.json")"
grep -q 'replicas of Redis do not follow' "$WORK"/broker-?.log || die "no broker says so"
kill -9 "${pid_of[$master]}"
kill -CONT "${pid_of[$replica]}"
[ "$master" != $witness ] || witness=$replica
took_over() { [ "$(master_of 0 $witness)" = "$replica" ]; }
wait_for 60 took_over || die "the replica does not take over"
start_node "$master"
whole_again() { [ -z "$("$FERRET" status d --json 2>/dev/null | field stopped | grep shard-away)" ]; }
wait_for 30 whole_again || die "a shard stays away"
"$FERRET" submit "$WORK/more.jsonl" --campaign d --json >"$WORK/submit.json" 2>"$WORK/submit.log"
want "exit code of submit handed in again" 0 $?
gone=$(field accepted <"$WORK/submit.json")
[ "$gone" -gt 0 ] || die "nothing was lost: $(cat "$WORK/submit.json")"
d_is_complete() { [ "$("$FERRET" status d --json 2>/dev/null | field completed)" = True ]; }
wait_for 60 d_is_complete || die "not complete: $("$FERRET" status d --json)"
want "done of the second campaign" 600 "$("$FERRET" status d --json | field done)"
want "its records" 600 "$("$FERRET" export d -o - | wc -l)"
"$FERRET" admin fsck --redis "${nodes[1]}" || die "fsck at the end"
echo "a slot moved, a master was killed: $lost of $N accepted jobs were lost; a replica that lagged took over: $gone of 600;" \
    "handed in again all have one record"
