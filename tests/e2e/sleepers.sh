# Sourced by tests of the queue alone: a Redis and a broker of their own and workers whose engine sleeps (what they answer
# follows from the job's key). Everything ends with the script.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
SLEEPER=$BIN/../test/chaos-sleeper
[ -x "$SLEEPER" ] || { echo "$SLEEPER is not built"; exit 77; }
command -v redis-server >/dev/null || { echo "redis-server is not installed"; exit 77; }
pids=()
stop_all() {
    code=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    wait
    (exit $code)
    finish
}
trap stop_all EXIT
redis() { redis-cli -s "$WORK/redis.sock" --raw "$@"; }

# queue_start MAXMEMORY [FLAGS of the broker]
queue_start() {
    redis-server --port 0 --unixsocket "$WORK/redis.sock" --dir "$WORK" --save '' --appendonly yes --appendfsync always \
        --maxmemory "$1" --maxmemory-policy noeviction >"$WORK/redis.log" &
    pids+=($!)
    wait_for 10 redis PING || die "no Redis"
    export FERRET_BROKER=ipc://$WORK/clients
    "$BIN/ferret-broker" --redis "$WORK/redis.sock" --client-bind "$FERRET_BROKER" --worker-bind "ipc://$WORK/workers" \
        --lease-ms 1500 --beat-ms 400 "${@:2}" 2>"$WORK/broker.log" &
    pids+=($!)
}

# sleeper_start CLASS CREDIT SLEEP_US: its process is SLEEPER_PID.
sleeper_start() {
    "$SLEEPER" "ipc://$WORK/workers" "$1" "$2" 4 "$3" 2>>"$WORK/sleeper.log" &
    SLEEPER_PID=$!
    pids+=($SLEEPER_PID)
}
n_sessions_are() { [ "$(redis ZCARD '{q:0}:sess')" = "$1" ]; }
