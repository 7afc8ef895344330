#!/bin/bash
# deploy/stunnel as it stands, on loopback: broker and worker reach Redis through TLS with users of `admin keygen`, a peer
# with another certificate does not, and what passes between is no clear text. Needs stunnel4 and openssl.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
for tool in stunnel4 openssl redis-server; do
    command -v $tool >/dev/null || { echo "needs $tool (packages stunnel4, openssl, redis-server)"; exit 77; }
done
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
images=$ROOT/tests/e2e/corpus/files
keys=$WORK/keys
redis_port=$(free_port) tls_port=$(free_port) peer_port=$(free_port) bad_port=$(free_port)

# The commands of deploy/SECURITY.md.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$1" \
        -keyout "$WORK/$1.key" -out "$WORK/$1.crt" 2>/dev/null || die "openssl failed"
    cat "$WORK/$1.key" "$WORK/$1.crt" >"$WORK/$1.pem"
    chmod 600 "$WORK/$1.pem"
}
for name in redis peer stranger; do certificate $name; done
cp "$WORK/peer.crt" "$WORK/peers.crt"
# tunnel FILE PORT TARGET CERTIFICATE: a file of deploy/stunnel with the paths and ports of this test.
tunnel() {
    sed -e "s|/etc/ferretry/tls/peer.pem|$WORK/$4.pem|; s|/etc/ferretry/tls|$WORK|" -e "s|^accept = .*|accept = 127.0.0.1:$2|" \
        -e "s|^connect = .*|connect = 127.0.0.1:$3|" "deploy/stunnel/stunnel-$1.conf" >"$WORK/$1-$4.conf"
    stunnel4 "$WORK/$1-$4.conf" >"$WORK/$1-$4.log" 2>&1 &
    pids+=($!)
}
"$FERRET" admin keygen -o "$keys" 2>/dev/null || die "keygen failed"
redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$WORK" --save '' --appendonly yes --appendfsync always \
    --maxmemory 100mb --maxmemory-policy noeviction --aclfile "$keys/redis.acl" >"$WORK/redis.log" &
pids+=($!)
tunnel redis "$tls_port" "$redis_port" redis
tunnel peer "$peer_port" "$tls_port" peer
tunnel peer "$bad_port" "$tls_port" stranger
as() { REDISCLI_AUTH=$(cat "$keys/$1.redis-password") redis-cli -p "$2" --user "$1" --no-auth-warning "${@:3}" 2>&1; }
reaches() { [ "$(as admin "$1" PING)" = PONG ]; }
wait_for 10 reaches "$peer_port" || die "no Redis through the tunnel: $(cat "$WORK"/*.log)"
! reaches "$bad_port" || die "a stranger's certificate opens the tunnel"
! timeout 2 redis-cli -p "$tls_port" PING 2>/dev/null | grep -q . || die "the tunnel answers in clear text"

clients=ipc://$WORK/clients workers=ipc://$WORK/workers
"$BIN/ferret-broker" --redis "127.0.0.1:$peer_port" --redis-user ferret-broker --redis-password-file \
    "$keys/ferret-broker.redis-password" --client-bind "$clients" --worker-bind "$workers" 2>"$WORK/broker.log" &
pids+=($!)
"$BIN/ferret-worker" --broker "$workers" --redis-user ferret-worker --redis-password-file "$keys/ferret-worker.redis-password" \
    --root "local=$images" --threads 1 2>"$WORK/worker.log" &
pids+=($!)
export FERRET_BROKER=$clients
is_up() { "$FERRET" status; }
wait_for 20 is_up || die "no broker: $(cat "$WORK/broker.log")"
campaign=$("$FERRET" submit "$images/alpha.png" "$images/tiny.png" --root "local=$images" --max-tokens 4) || die "submit"
"$FERRET" watch "$campaign" 2>"$WORK/watch.log" || die "watch: $(tail -n 3 "$WORK/watch.log" "$WORK/worker.log")"
want "records" 2 "$("$FERRET" export "$campaign" -o - | wc -l)"
! grep -q 'travel through the broker' "$WORK/worker.log" || die "the worker left the direct route: $(cat "$WORK/worker.log")"
"$FERRET" admin fsck --redis "127.0.0.1:$peer_port" --redis-user ferret-fsck --redis-password-file \
    "$keys/ferret-fsck.redis-password" || die "fsck"
