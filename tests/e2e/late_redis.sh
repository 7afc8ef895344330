#!/bin/bash
# A broker that loses Redis while it looks at it for the first time asks once more; one that never finds any ends with 3.
. "$(dirname "$0")/sleepers.sh"
redis-server --port 0 --unixsocket "$WORK/redis.sock" --dir "$WORK" --save '' --appendonly yes --appendfsync always \
    --maxmemory 64mb --maxmemory-policy noeviction >"$WORK/redis.log" &
pids+=($!)
wait_for 10 redis PING || die "no Redis"
# Hands on what it gets, but cuts the first two connections at their first CONFIG.
python3 - "$WORK/front.sock" "$WORK/redis.sock" <<'PYTHON' &
import socket, sys, threading
cuts = 2
def pump(a, b):
    global cuts
    while data := a.recv(65536):
        if b'CONFIG' in data and cuts > 0:
            cuts -= 1
            break
        b.sendall(data)
    for s in (a, b):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
door = socket.socket(socket.AF_UNIX)
door.bind(sys.argv[1])
door.listen(16)
while True:
    client, _ = door.accept()
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[2])
    for ends in ((client, server), (server, client)):
        threading.Thread(target=pump, args=ends, daemon=True).start()
PYTHON
pids+=($!)
wait_for 10 test -S "$WORK/front.sock" || die "nothing in front of Redis"
"$BIN/ferret-broker" --redis "$WORK/front.sock" --client-bind "ipc://$WORK/clients" --worker-bind "ipc://$WORK/workers" 2>"$WORK/broker.log" &
pids+=($!)
is_ready() { grep -q 'broker: ready' "$WORK/broker.log"; }
wait_for 12 is_ready || die "not ready: $(cat "$WORK/broker.log")"
timeout 30 "$BIN/ferret-broker" --redis "$WORK/none.sock" --client-bind "ipc://$WORK/c" --worker-bind "ipc://$WORK/w" 2>/dev/null
want "exit code of a broker without Redis" 3 $?
