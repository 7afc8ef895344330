#!/bin/bash
# Four hosts, each a network namespace: client, broker with Redis, two workers that have no way to Redis, so the relay
# route, over CURVE. A key that is on no list is turned away; a link that loses and delays packets slows its worker and
# loses nothing; one worker's link is cut for longer than a lease and healed: the other one goes on, every image ends in
# one record, and the first one works again. Needs root, ip and redis-server.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for tool in ip redis-server; do
    command -v $tool >/dev/null || { echo "needs $tool (packages iproute2, redis-server)"; exit 77; }
done
queue=ferretry-q-$$
peers=(client a b)
space_of() { echo "ferretry-$1-$$"; }
stop_all() {
    code=$?
    for name in q "${peers[@]}"; do
        ip netns pids "$(space_of "$name")" 2>/dev/null | xargs -r kill
    done
    wait
    for name in q "${peers[@]}"; do ip netns del "$(space_of "$name")" 2>/dev/null; done
    (exit $code)
    finish
}
trap stop_all EXIT
ip netns add $queue 2>"$WORK/err" || { echo "no network namespaces here: $(cat "$WORK/err")"; exit 77; }
in_queue() { ip netns exec $queue "$@"; }
on() { ip netns exec "$(space_of "$1")" "${@:2}"; }
# The broker has one address; each peer reaches it over a link of its own, to_NAME at the broker's end.
in_queue ip link set lo up && in_queue ip addr add 10.77.0.1/32 dev lo || die "the broker's address"
net=0
for name in "${peers[@]}"; do
    net=$((net + 1))
    ip netns add "$(space_of "$name")" || die "no namespace for $name"
    ip link add "to_$name" netns $queue type veth peer name out netns "$(space_of "$name")" || { echo "no veth here"; exit 77; }
    in_queue ip addr add 10.77.$net.1/24 dev "to_$name" && in_queue ip link set "to_$name" up || die "link to $name"
    on "$name" ip addr add 10.77.$net.2/24 dev out && on "$name" ip link set out up && on "$name" ip link set lo up || die "link of $name"
    on "$name" ip route add 10.77.0.1/32 via 10.77.$net.1 dev out src 10.77.$net.2 || die "route of $name"
done

keys=$WORK/keys
images=$WORK/images
mkdir "$images"
for i in 1 2 3 4; do
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
client() { on client "$FERRET" "$@" --broker tcp://10.77.0.1:7411 --key-file "${KEY:-$keys/submit.key}"; }
is_up() { client status; }
wait_for 20 is_up || die "no broker: $(cat "$WORK/broker.log")"
for name in "${peers[@]}"; do
    ! on "$name" timeout 2 bash -c 'exec 3<>/dev/tcp/10.77.0.1/6379' 2>/dev/null || die "Redis can be reached from $name"
done
KEY=$WORK/strangers/submit.key client status >/dev/null 2>"$WORK/err"
want "exit code with a key that is on no list" 4 $?
on client "$FERRET" status --broker tcp://10.77.0.1:7411 2>"$WORK/err"
want "exit code without a key" 4 $?

for name in a b; do
    on $name "$BIN/ferret-worker" --broker tcp://10.77.0.1:7412 --key-file "$keys/worker.key" --root "local=$images" --threads 1 \
        --credit 4 2>"$WORK/worker-$name.log" &
done
workers() { KEY=$keys/operate.key client admin queue --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["workers"]))'; }
two_workers() { [ "$(workers)" = 2 ]; }
wait_for 30 two_workers || die "there are $(workers) workers: $(cat "$WORK"/worker-*.log)"
pid_a=$(ip netns pids "$(space_of a)" | head -n 1)
# round NAME: submits all images and waits for them; the caller's command runs once some are done.
round() {
    local name=$1 begin=$SECONDS
    client submit "$images" --root "local=$images" --campaign "$name" --max-tokens 24 >/dev/null 2>&1 || die "$name: submit failed"
    "${@:2}"
    watch "$name" || die "$name: watch: $(tail -n 3 "$WORK/watch.log" "$WORK"/worker-*.log)"
    client export "$name" -o - >"$WORK/records" || die "$name: export failed"
    want "$name: records" 24 "$(wc -l <"$WORK/records")"
    want "$name: images with a record" 24 "$(field_of_all id <"$WORK/records" | sort -u | wc -l)"
    of_a=$(field_of_all worker <"$WORK/records" | grep -c " $pid_a\$")
    echo "measured: netns $name: 24 images in $((SECONDS - begin)) s, $of_a of them by worker a"
}
field_of_all() { python3 -c 'import json, sys; [print(json.loads(l)[sys.argv[1]]) for l in sys.stdin]' "$1"; }
watch() {
    on client timeout 200 "$FERRET" watch "$1" --broker tcp://10.77.0.1:7411 --key-file "$keys/submit.key" 2>"$WORK/watch.log"
}
some_done() { [ "$(client status "$1" --json | field done)" -ge "$2" ]; }

# The way between broker and worker a: 80 ms +- 20, and 5 % of the packets are lost, in both directions; by netem, or by a
# relay in user space where the kernel has none. Connections that are open take it too.
relay=
slow_down() {
    if in_queue tc qdisc add dev to_a root netem delay 80ms 20ms loss 5% 2>"$WORK/err"; then
        on a tc qdisc add dev out root netem delay 80ms 20ms loss 5% || die "netem at one end only"
        how='tc netem'
        return
    fi
    tests/systems/delay_link.py slow $queue "$(space_of a)" --delay-ms 80 --jitter-ms 20 --loss 0.05 >"$WORK/relay.log" 2>&1 &
    relay=$!
    wait_for 10 grep -q '^up$' "$WORK/relay.log" || die "neither netem ($(cat "$WORK/err")) nor tun: $(cat "$WORK/relay.log")"
    on a ip route replace 10.77.0.1/32 dev slow src 10.77.2.2 && in_queue ip route add 10.77.2.2/32 dev slow src 10.77.0.1 || die "routes"
    how='a relay between two tun devices, since this kernel has no netem'
}
speed_up() {
    if [ -z "$relay" ]; then
        in_queue tc qdisc del dev to_a root
        on a tc qdisc del dev out root
        return
    fi
    on a ip route replace 10.77.0.1/32 via 10.77.2.1 dev out src 10.77.2.2 || die "the route back"
    kill "$relay"
    wait "$relay"
    want "exit code of the relay" 0 $?
    lost=$(sed -n 's/.*packets, of which \([0-9]*\) were lost$/\1/p' "$WORK/relay.log")
    [ "${lost:-0}" -gt 0 ] || die "the relay lost nothing: $(cat "$WORK/relay.log")"
    how="$how: $(tail -n 1 "$WORK/relay.log")"
}
# The median of the seconds that 9 connections from worker a's host to the broker take.
connecting() {
    on a python3 -c '
import socket, time
def once():
    begin = time.monotonic()
    socket.create_connection(("10.77.0.1", 7412)).close()
    return time.monotonic() - begin
print("%.3f" % sorted(once() for _ in range(9))[4])'
}

round plain true
[ "$of_a" -gt 0 ] && [ "$of_a" -lt 24 ] || die "one worker did all of it"
near=$(connecting)
slow_down
slow=$(connecting)
round lossy true
[ "$of_a" -gt 0 ] || die "nothing came over the slow link"
speed_up
echo "measured: netns lossy by $how; a connection takes $slow s, $near s on the plain link"
awk -v s="$slow" -v n="$near" 'BEGIN { exit !(s >= 0.120 && n < 0.060) }' || die "a connection takes $slow s, $near s on the plain link"

cut_and_heal() {
    wait_for 120 some_done cut 2 || die "nothing is done"
    in_queue ip link set to_a down
    sleep 6 # two leases
    two_workers && die "a worker that has not been heard of for two leases counts as one"
    in_queue ip link set to_a up
    wait_for 60 two_workers || die "the worker is not back: $(tail -n 3 "$WORK/worker-a.log")"
}
round cut cut_and_heal
round healed true
[ "$of_a" -gt 0 ] || die "the worker whose link was healed does nothing: $(tail -n 3 "$WORK/worker-a.log")"
in_queue "$FERRET" admin fsck --redis 127.0.0.1:6379 --redis-user ferret-fsck --redis-password-file \
    "$keys/ferret-fsck.redis-password" || die "fsck"
for name in a b; do grep -q 'relay route' "$WORK/worker-$name.log" || die "worker $name is on another route: $(cat "$WORK/worker-$name.log")"; done
