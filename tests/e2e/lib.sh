# Sourced by the end-to-end tests: a folder of their own, a `ferret up` of their own, and checks that say what they
# wanted. Everything started here ends with the script.
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${BIN:-$ROOT/build/bin}
FERRET=$BIN/ferret
export PATH="$BIN:$PATH"
unset FERRET_DATA FERRET_BROKER FERRET_CONFIG FERRET_CAMPAIGN
# A test that was killed could not clear up: the next one does, by the process in the folder's name.
for left in /tmp/ferret-e2e.*.*; do
    pid=${left#/tmp/ferret-e2e.}
    [ ! -d "$left" ] || kill -0 "${pid%%.*}" 2>/dev/null || rm -rf "$left"
done
WORK=$(mktemp -d /tmp/ferret-e2e.$$.XXXXXX)
UP_PID=

die() {
    echo "not as it should be: $*" >&2
    [ -f "$WORK/up.log" ] && tail -n 40 "$WORK/up.log" >&2
    exit 1
}

# want WHAT EXPECTED FOUND
want() { [ "$2" = "$3" ] || die "$1: expected $2, found $3"; }

# What a test starts itself it ends by defining this anew.
at_end() { :; }

finish() {
    local code=$?
    at_end
    [ -z "$UP_PID" ] || up_stop
    pkill -P $$ # what a test that is stopped was waiting for
    rm -rf "$WORK"
    exit $code
}
trap finish EXIT

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
}

up_is_ready() { grep -q 'ferret up: ready' "$WORK/up.log"; }

# up_start DATA FLAGS...
up_start() {
    export FERRET_DATA=$1
    shift
    : >"$WORK/up.log"
    "$FERRET" up "$@" 2>>"$WORK/up.log" &
    UP_PID=$!
    wait_for 90 up_is_ready_or_gone || die "ferret up is not ready after 90 s"
    up_is_ready || die "ferret up ended"
}
up_is_ready_or_gone() { up_is_ready || ! kill -0 "$UP_PID" 2>/dev/null; }

# Ends like Ctrl-C; UP_CODE is its exit code.
up_stop() {
    kill -INT "$UP_PID" 2>/dev/null
    wait "$UP_PID"
    UP_CODE=$?
    UP_PID=
}

# The process of worker N, as `ferret up` last announced it.
worker_pid() { sed -n "s/.* up: worker-$1 started, process \([0-9]*\)$/\1/p" "$WORK/up.log" | tail -n 1; }

# field NAME: of a JSON object on stdin.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
campaign_field() { "$FERRET" status "$1" --json | field "$2"; }
