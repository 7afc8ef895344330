#!/bin/bash
# `ferret up`: ready, found by the other commands, one at a time on a folder, restarts what dies, stops in order.
. "$(dirname "$0")/lib.sh"
data=$WORK/data

"$FERRET" status --data "$WORK/nowhere" 2>"$WORK/err"
want "exit code without a broker" 3 $?
grep -q 'start `ferret up' "$WORK/err" || die "the error does not say what to start: $(cat "$WORK/err")"

up_start "$data" --workers 2
want "permissions of the data folder" 700 "$(stat -c %a "$data")"
[ -S "$data/redis.sock" ] || die "no Redis socket in the data folder"
grep -q '^model: the default one' "$WORK/up.log" || die "the default model's domain is not stated"
want "times the domain is stated" 1 "$(grep -c '^model: the default one' "$WORK/up.log")"
"$FERRET" status >"$WORK/out" || die "status cannot reach the broker"
want "bytes that status prints without campaigns" 0 "$(stat -c %s "$WORK/out")"

"$FERRET" up 2>"$WORK/err"
want "exit code of a second up on the folder" 4 $?
grep -q 'another `ferret up` is running' "$WORK/err" || die "the second up says: $(cat "$WORK/err")"

for who in worker-0 broker redis; do
    pid=$(sed -n "s/.* up: $who started, process \([0-9]*\)$/\1/p" "$WORK/up.log" | tail -n 1)
    kill -9 "$pid"
    restarted() { [ "$(sed -n "s/.* up: $who started, process \([0-9]*\)$/\1/p" "$WORK/up.log" | tail -n 1)" != "$pid" ]; }
    wait_for 15 restarted || die "$who was not started again"
    wait_for 30 "$FERRET" status || die "status does not work after $who was killed"
done

up_stop
want "exit code of up after Ctrl-C" 0 "$UP_CODE"
order=$(grep -oE 'up: (worker|broker|redis)[-0-9]* ended$' "$WORK/up.log" | sed -E 's/up: ([a-z]+).*/\1/' | tail -n 4 | uniq | tr '\n' ' ')
want "order of stopping" "worker broker redis " "$order"

# Killed without mercy, its children follow, and the folder can be used again at once.
up_start "$data"
kill -9 "$UP_PID"
wait "$UP_PID" 2>/dev/null
UP_PID=
up_start "$data"
up_stop
want "exit code of up after Ctrl-C" 0 "$UP_CODE"

# Images of another precision wait, which is said and not silent.
up_start "$data"
"$FERRET" submit "$ROOT/tests/e2e/corpus/files" --campaign waits >/dev/null && "$FERRET" pause waits || die "submit failed"
up_stop
up_start "$data" --dtype bf16
grep -q 'campaign waits: its [0-9]* unfinished images wait for model .* at f32, and these workers run model .* at bf16: start' "$WORK/up.log" ||
    die "up does not say what waits"
# The worker that was killed above counts until its lease ends.
says_no_worker() { "$FERRET" status waits >"$WORK/out" && grep -q 'no worker for its model [0-9a-f]\{12\} at f32$' "$WORK/out"; }
wait_for 30 says_no_worker || die "status says: $(cat "$WORK/out")"
want "workers for images of another precision" 0 "$(campaign_field waits workers)"
up_stop

# Two brokers: whoever hangs on one that falls silent goes on with the other. One that is killed is started again.
port=$((20000 + RANDOM % 8000))
up_start "$data" --brokers 2 --http 127.0.0.1:$port
broker_pid() { sed -n "s/.* up: broker-$1 started, process \([0-9]*\)$/\1/p" "$WORK/up.log" | tail -n 1; }
is_well() { curl -fsS "http://127.0.0.1:$1/healthz" >/dev/null; }
for p in $port $((port + 1)) $((port + 2)); do is_well "$p" || die "nobody answers at port $p"; done
"$FERRET" up --data "$WORK/other" --http 127.0.0.1:$((port - 1)) 2>"$WORK/err"
want "exit code of an up whose second port is taken" 4 $?
grep -q "http: 127.0.0.1:$port is taken" "$WORK/err" || die "an up on a port that is taken says: $(cat "$WORK/err")"
# What is wrong with an address is not always that it is taken.
timeout 20 "$FERRET" up --data "$WORK/other" --http 192.0.2.1:$port 2>"$WORK/err"
want "exit code of an up at another machine's address" 2 $?
grep -q 'http: 192.0.2.1 is no address of this machine' "$WORK/err" || die "an up at another machine's address says: $(cat "$WORK/err")"
if [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -ge 1024 ]; then
    plain=()
    [ "$(id -u)" != 0 ] || plain=(setpriv --bounding-set -net_bind_service --inh-caps -net_bind_service)
    timeout 20 "${plain[@]}" "$FERRET" up --data "$WORK/other" --http 127.0.0.1:81 2>"$WORK/err"
    want "exit code of an up at a port without the right to it" 4 $?
    grep -q 'http: 127.0.0.1:81: permission denied; a port below 1024' "$WORK/err" ||
        die "an up at a port without the right to it says: $(cat "$WORK/err")"
fi
kill -STOP "$(broker_pid 0)"
"$FERRET" submit "$ROOT/tests/e2e/corpus/files/alpha.png" --campaign beside >/dev/null || die "submit with one broker of two"
is_done() { [ "$(campaign_field beside done)" = 1 ]; }
wait_for 30 is_done || die "not done with one broker of two: $("$FERRET" status beside)"
kill -CONT "$(broker_pid 0)"
killed=$(broker_pid 1)
kill -9 "$killed"
is_there_again() { [ "$(broker_pid 1)" != "$killed" ] && is_well $((port + 1)); }
wait_for 15 is_there_again || die "the second broker was not started again"
up_stop
want "exit code of up with two brokers after Ctrl-C" 0 "$UP_CODE"
want "brokers that have ended in order" 2 "$(grep -c 'up: broker-[01] ended$' "$WORK/up.log")"

"$FERRET" up --data "$WORK/other" --redis-server /no/such/redis-server 2>"$WORK/err"
want "exit code without Redis" 2 $?
grep -q 'the package is redis-server' "$WORK/err" || die "up without Redis says: $(cat "$WORK/err")"
PATH=$BIN "$FERRET" up --data "$WORK/other" 2>"$WORK/err"
want "exit code without Redis in PATH" 2 $?
grep -q 'not in PATH; the package is redis-server' "$WORK/err" || die "up without Redis in PATH says: $(cat "$WORK/err")"
"$FERRET" up --data "$WORK/other" --model /no/such/model 2>"$WORK/err"
want "exit code with a model that is not there" 2 $?
