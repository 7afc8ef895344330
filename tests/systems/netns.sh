#!/bin/bash
# Broker and Redis in one network namespace, workers in another that has no way to Redis: the relay route over CURVE.
# A key that is on no list is turned away; a link that loses and delays packets slows work and loses none; a link that is
# cut for longer than a lease and healed ends with every image in one record. Needs root, ip and redis-server.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for tool in ip redis-server; do
    command -v $tool >/dev/null || { echo "needs $tool (packages iproute2, redis-server)"; exit 77; }
done
queue=ferretry-q-$$ far=ferretry-w-$$
stop_all() {
    code=$?
    for space in $queue $far; do ip netns pids $space 2>/dev/null | xargs -r kill; done
    wait
    ip netns del $queue 2>/dev/null
    ip netns del $far 2>/dev/null
    (exit $code)
    finish
}
trap stop_all EXIT
ip netns add $queue 2>"$WORK/err" || { echo "no network namespaces here: $(cat "$WORK/err")"; exit 77; }
ip netns add $far || die "no second namespace"
in_queue() { ip netns exec $queue "$@"; }
in_far() { ip netns exec $far "$@"; }
ip link add q-$$ netns $queue type veth peer name w-$$ netns $far || { echo "no veth here"; exit 77; }
in_queue ip addr add 10.77.0.1/24 dev q-$$ && in_queue ip link set q-$$ up && in_queue ip link set lo up
in_far ip addr add 10.77.0.2/24 dev w-$$ && in_far ip link set w-$$ up && in_far ip link set lo up

keys=$WORK/keys
images=$WORK/images
mkdir "$images"
for i in 1 2; do
    for file in "$ROOT"/tests/e2e/corpus/files/{alpha.png,landscape.jpg,progressive.jpg,scan.tiff,scene.webp,tiny.png}; do
        cp "$file" "$images/$i-$(basename "$file")"
    done
done
"$FERRET" admin keygen -o "$keys" 2>/dev/null || die "keygen failed"
"$FERRET" admin keygen -o "$WORK/strangers" 2>/dev/null || die "keygen failed"
cp "$keys/broker.pub" "$WORK/strangers/"
in_queue redis-server --port 6379 --bind 127.0.0.1 --dir "$WORK" --save '' --appendonly yes --appendfsync always \
    --maxmemory 100mb --maxmemory-policy noeviction --aclfile "$keys/redis.acl" >"$WORK/redis.log" &
in_queue "$BIN/ferret-broker" --redis 127.0.0.1:6379 --redis-user ferret-broker --redis-password-file \
    "$keys/ferret-broker.redis-password" --client-bind tcp://10.77.0.1:7411 --worker-bind tcp://10.77.0.1:7412 \
    --key-file "$keys/broker.key" --route relay --lease-ms 3000 --beat-ms 600 2>"$WORK/broker.log" &
client() { in_far "$FERRET" "$@" --broker tcp://10.77.0.1:7411 --key-file "${KEY:-$keys/submit.key}"; }
is_up() { client status; }
wait_for 20 is_up || die "no broker: $(cat "$WORK/broker.log")"
! in_far timeout 2 bash -c 'exec 3<>/dev/tcp/10.77.0.1/6379' 2>/dev/null || die "Redis can be reached from where workers are"
KEY=$WORK/strangers/submit.key client status >/dev/null 2>"$WORK/err"
want "exit code with a key that is on no list" 4 $?
in_far "$FERRET" status --broker tcp://10.77.0.1:7411 2>"$WORK/err"
want "exit code without a key" 4 $?

in_far "$BIN/ferret-worker" --broker tcp://10.77.0.1:7412 --key-file "$keys/worker.key" --root "local=$images" --threads 1 \
    --credit 4 2>"$WORK/worker.log" &
# round NAME: submits all images and waits for them; the caller's command runs once some are done.
round() {
    local name=$1 begin=$SECONDS
    client submit "$images" --root "local=$images" --campaign "$name" --max-tokens 24 >/dev/null 2>&1 || die "$name: submit failed"
    "${@:2}"
    watch "$name" || die "$name: watch: $(tail -n 3 "$WORK/watch.log" "$WORK/worker.log")"
    client export "$name" -o - >"$WORK/records" || die "$name: export failed"
    want "$name: records" 12 "$(wc -l <"$WORK/records")"
    want "$name: images with a record" 12 "$(field_of_all id <"$WORK/records" | sort -u | wc -l)"
    echo "measured: netns $name: 12 images in $((SECONDS - begin)) s"
}
field_of_all() { python3 -c 'import json, sys; [print(json.loads(l)[sys.argv[1]]) for l in sys.stdin]' "$1"; }
watch() {
    in_far timeout 200 "$FERRET" watch "$1" --broker tcp://10.77.0.1:7411 --key-file "$keys/submit.key" 2>"$WORK/watch.log"
}
some_done() { [ "$(client status "$1" --json | field done)" -ge 2 ]; }

# A way of 80 ms +- 20 on which 5 % of the packets are lost, in both directions: by netem, or by a relay in user space
# where the kernel has none. Connections that are open take it too.
relay=
slow_down() {
    if in_queue tc qdisc add dev q-$$ root netem delay 80ms 20ms loss 5% 2>"$WORK/err"; then
        in_far tc qdisc add dev w-$$ root netem delay 80ms 20ms loss 5% || die "netem at one end only"
        how='tc netem'
        return
    fi
    tests/systems/delay_link.py slow $queue $far --delay-ms 80 --jitter-ms 20 --loss 0.05 >"$WORK/relay.log" 2>&1 &
    relay=$!
    wait_for 10 grep -q '^up$' "$WORK/relay.log" || die "neither netem ($(cat "$WORK/err")) nor tun: $(cat "$WORK/relay.log")"
    in_far ip route add 10.77.0.1/32 dev slow src 10.77.0.2 && in_queue ip route add 10.77.0.2/32 dev slow src 10.77.0.1 || die "routes"
    how='a relay between two tun devices, since this kernel has no netem'
}
speed_up() {
    if [ -z "$relay" ]; then
        in_queue tc qdisc del dev q-$$ root
        in_far tc qdisc del dev w-$$ root
        return
    fi
    kill "$relay"
    wait "$relay"
    want "exit code of the relay" 0 $?
    lost=$(sed -n 's/.*packets, of which \([0-9]*\) were lost$/\1/p' "$WORK/relay.log")
    [ "${lost:-0}" -gt 0 ] || die "the relay lost nothing: $(cat "$WORK/relay.log")"
    how="$how: $(tail -n 1 "$WORK/relay.log")"
}
# The median of the seconds that 9 connections to the broker take.
connecting() {
    in_far python3 -c '
import socket, time
def once():
    begin = time.monotonic()
    socket.create_connection(("10.77.0.1", 7411)).close()
    return time.monotonic() - begin
print("%.3f" % sorted(once() for _ in range(9))[4])'
}

round plain true
near=$(connecting)
slow_down
slow=$(connecting)
round lossy true
speed_up
echo "measured: netns lossy by $how; a connection takes $slow s, $near s on the plain link"
awk -v s="$slow" -v n="$near" 'BEGIN { exit !(s >= 0.120 && n < 0.060) }' || die "a connection takes $slow s, $near s on the plain link"
cut_and_heal() {
    wait_for 120 some_done cut || die "nothing is done"
    in_queue ip link set q-$$ down
    sleep 6 # two leases
    in_queue ip link set q-$$ up
}
round cut cut_and_heal
in_queue "$FERRET" admin fsck --redis 127.0.0.1:6379 --redis-user ferret-fsck --redis-password-file \
    "$keys/ferret-fsck.redis-password" || die "fsck"
grep -q 'relay route' "$WORK/worker.log" || die "the worker is on another route: $(cat "$WORK/worker.log")"
