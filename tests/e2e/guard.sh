#!/bin/bash
# Keys, roles, tenants and users of Redis, with the real programs: what `ferret admin keygen` makes is enough for all of
# it, and what is not allowed is refused by name.
. "$(dirname "$0")/lib.sh"
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
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
keys=$WORK/keys
images=$ROOT/tests/e2e/corpus/files

# ---- files ----
"$FERRET" admin keygen -o "$keys" 2>/dev/null || die "keygen failed"
want "secrets that others can read" "" "$(find "$keys" -perm /077 ! -name broker.pub ! -name allow.json)"
sum=$(cat "$keys"/* | sha256sum)
"$FERRET" admin keygen -o "$keys" 2>/dev/null
want "exit code of a keygen over keys" 4 $?
want "what a refused keygen changed" "$sum" "$(cat "$keys"/* | sha256sum)"
"$FERRET" admin keygen acme -o "$keys" --role submit --role operate --tenant acme 2>/dev/null || die "keygen NAME failed"
"$FERRET" admin keygen -o "$WORK/strangers" 2>/dev/null || die "keygen of strangers failed"
cp "$keys/broker.pub" "$WORK/strangers/"

# ---- Redis with the ACL file ----
port=$(free_port)
redis-server --port "$port" --bind 127.0.0.1 --dir "$WORK" --save '' --appendonly yes --appendfsync always --maxmemory 100mb \
    --maxmemory-policy noeviction --aclfile "$keys/redis.acl" >"$WORK/redis.log" &
pids+=($!)
as() { REDISCLI_AUTH=$(cat "$keys/$1.redis-password") redis-cli -p "$port" --user "$1" --no-auth-warning "${@:2}" 2>&1; }
redis_is_there() { [ "$(as admin PING)" = PONG ]; }
wait_for 10 redis_is_there || die "no Redis: $(cat "$WORK/redis.log")"
as admin SET foreign 1 >/dev/null

# ---- brokers: one of each route ----
clients=tcp://127.0.0.1:$(free_port)
workers=tcp://127.0.0.1:$(free_port)
relay=tcp://127.0.0.1:$(free_port)
login="--redis 127.0.0.1:$port --redis-user ferret-broker --redis-password-file $keys/ferret-broker.redis-password"
# shellcheck disable=SC2086 # words
"$BIN/ferret-broker" $login --client-bind "$clients" --worker-bind "$workers" --key-file "$keys/broker.key" \
    --lease-ms 3000 --beat-ms 500 2>"$WORK/broker.log" &
broker=$!
pids+=($broker)
# shellcheck disable=SC2086 # words
"$BIN/ferret-broker" $login --client-bind "ipc://$WORK/second" --worker-bind "$relay" --key-file "$keys/broker.key" \
    --route relay 2>"$WORK/relay.log" &
pids+=($!)
# shellcheck disable=SC2086 # words
"$BIN/ferret-broker" $login --client-bind 'tcp://*:1' --worker-bind "ipc://$WORK/x" 2>"$WORK/err"
want "exit code of a broker without keys where other hosts reach it" 4 $?
grep -q 'keygen' "$WORK/err" || die "it says: $(cat "$WORK/err")"
# shellcheck disable=SC2086 # words
"$BIN/ferret-broker" --redis "ferret-broker:geheim@127.0.0.1:$port" --client-bind "ipc://$WORK/x" --worker-bind "ipc://$WORK/y" \
    --redis "redis://a:geheim@127.0.0.1:$port" 2>"$WORK/err"
want "exit code with a password in the address" 2 $?
! grep -q geheim "$WORK/err" || die "the password is shown: $(cat "$WORK/err")"
FERRET_REDIS_PASSWORD=geheim "$BIN/ferret-broker" --print-config >"$WORK/config" || die "print-config failed"
! grep -q geheim "$WORK/config" || die "print-config shows the password"

# client KEY COMMAND...
client() { "$FERRET" "${@:2}" --broker "$clients" --key-file "$1"; }
is_up() { client "$keys/operate.key" status; }
wait_for 10 is_up || die "no broker: $(cat "$WORK/broker.log")"

# ---- workers ----
cp "$keys/worker.key" "$WORK/open.key"
cp "$keys/broker.pub" "$WORK/"
chmod 644 "$WORK/open.key"
"$BIN/ferret-worker" --broker "$workers" --key-file "$WORK/open.key" 2>"$WORK/err"
want "exit code of a worker whose key others can read" 4 $?
grep -q 'chmod 600' "$WORK/err" || die "it says: $(cat "$WORK/err")"
"$BIN/ferret-worker" --broker "$workers" --key-file "$WORK/strangers/worker.key" --threads 1 2>"$WORK/err"
want "exit code of a worker whose key is on no list" 4 $?
grep -q 'allow-list' "$WORK/err" || die "it says: $(tail -n 1 "$WORK/err")"
grep -q 'turned away: key .* from 127.0.0.1' "$WORK/broker.log" || die "the broker does not tell of it"
"$BIN/ferret-worker" --broker "$workers" --key-file "$keys/submit.key" --threads 1 2>"$WORK/err"
want "exit code of a worker with a key that may not work" 4 $?
grep -q 'HELLO takes the role work; key "submit" has submit' "$WORK/err" || die "it says: $(tail -n 1 "$WORK/err")"

"$BIN/ferret-worker" --broker "$workers" --key-file "$keys/worker.key" --redis-user ferret-worker --redis-password-file \
    "$keys/ferret-worker.redis-password" --root "local=$images" --threads 1 --dedup 9 2>"$WORK/direct.log" &
direct=$!
pids+=($direct)
submit() { client "$1" submit "$images/alpha.png" "$images/tiny.png" --root "local=$images" --max-tokens 4 "${@:2}"; }
campaign=$(submit "$keys/submit.key" 2>/dev/null) || die "submit failed"
client "$keys/submit.key" watch "$campaign" 2>"$WORK/watch.log" || die "watch: $(tail -n 3 "$WORK/watch.log" "$WORK/direct.log")"
want "records" 2 "$(client "$keys/submit.key" export "$campaign" -o - | wc -l)"
grep -q 'direct route' "$WORK/direct.log" || die "the worker is on another route: $(cat "$WORK/direct.log")"
! grep -q 'travel through the broker' "$WORK/direct.log" || die "the worker left its route: $(cat "$WORK/direct.log")"
are_kept() { [ "$(as admin HLEN '{q:0}:twin')" = 2 ]; }
wait_for 10 are_kept || die "the results are not kept for twins: $(tail -n 3 "$WORK/direct.log")"

# ---- relay: a worker that has no way to Redis ----
kill -INT $direct
wait $direct
"$BIN/ferret-worker" --broker "$relay" --key-file "$keys/worker.key" --root "local=$images" --threads 1 --dedup 9 2>"$WORK/relayed.log" &
pids+=($!)
second=$(submit "$keys/submit.key" --campaign second 2>/dev/null) || die "second submit failed"
client "$keys/submit.key" watch "$second" 2>"$WORK/watch.log" || die "watch: $(tail -n 3 "$WORK/watch.log" "$WORK/relayed.log")"
grep -q 'relay route' "$WORK/relayed.log" || die "the worker is on another route: $(cat "$WORK/relayed.log")"
want "copies among its records" 2 "$(client "$keys/submit.key" export "$second" -o - | grep -c '"dup_of":')"
want "commands that Redis' list forbade" "" "$(as admin ACL LOG | grep -A1 '^object$' | grep -vE '^(object|--)$')"

# ---- what the worker's user may not ----
set -f # words, no names of files
for command in 'KEYS *' FLUSHALL 'GET foreign' 'SET foreign 2' 'EVAL return(1) 0' 'SCRIPT LOAD return(1)' 'CONFIG GET dir' \
    'HGET foreign a' 'SHUTDOWN NOSAVE' 'ACL LIST' 'MONITOR' 'SAVE' 'SCAN 0' 'CLIENT LIST' 'PUBLISH a b'; do
    # shellcheck disable=SC2086 # words
    as ferret-worker $command | grep -q '^NOPERM' || die "the worker's user may $command: $(as ferret-worker $command)"
done
set +f
want "foreign key afterwards" 1 "$(as admin GET foreign)"
redis-cli -p "$port" PING 2>&1 | grep -q '^NOAUTH' || die "Redis speaks to whoever comes"
"$FERRET" admin fsck --redis "127.0.0.1:$port" --redis-user ferret-fsck --redis-password-file "$keys/ferret-fsck.redis-password" \
    >"$WORK/fsck" || die "fsck: $(cat "$WORK/fsck")"

# ---- roles and tenants ----
# refused CODE WORDS KEY COMMAND...
refused() {
    client "${@:3}" >/dev/null 2>"$WORK/err"
    want "exit code of ${*:3}" "$1" $?
    grep -q -- "$2" "$WORK/err" || die "${*:3} says: $(cat "$WORK/err")"
}
refused 4 'DRAIN takes the role operate' "$keys/submit.key" admin drain --yes
refused 4 'CAMPAIGN takes the role submit' "$keys/operate.key" submit "$images/tiny.png" --root "local=$images"
refused 4 'takes the role submit or operate; key "worker" has work' "$keys/worker.key" status
refused 4 'is not for tenant "default"' "$keys/acme.key" submit "$images/tiny.png" --root "local=$images"
refused 4 'the name is taken' "$keys/acme.key" submit "$images/tiny.png" --root "local=$images" --tenant acme --campaign second
refused 4 'concerns all tenants' "$keys/acme.key" admin drain --yes
refused 2 'no such campaign' "$keys/acme.key" export second -o -
refused 2 'no such campaign' "$keys/acme.key" cancel second --yes
refused 2 'no such campaign' "$keys/acme.key" admin purge second --yes
refused 4 'allow-list' "$WORK/strangers/operate.key" status
want "campaigns that another tenant sees" "" "$(client "$keys/acme.key" status 2>/dev/null --json)"
job=$(client "$keys/operate.key" export second -o - | head -n 1 | field job)
client "$keys/operate.key" show "$job" >/dev/null || die "an operator does not find the job"
refused 2 'no such job\|nobody knows\|no job' "$keys/acme.key" show "$job"

# ---- a key that is struck off, and one that comes ----
python3 - "$keys/allow.json" <<'PYTHON'
import json, os, sys
path = sys.argv[1]
keys = json.load(open(path))
keys["keys"] = [k for k in keys["keys"] if k["name"] != "submit"]
with open(path + ".new", "w") as f:
    json.dump(keys, f)
os.chmod(path + ".new", 0o644)
os.rename(path + ".new", path)
PYTHON
kill -HUP $broker
struck_off() { grep -q "allow.json: 3 keys" "$WORK/broker.log"; }
wait_for 5 struck_off || die "the list was not read again: $(cat "$WORK/broker.log")"
refused 4 'allow-list' "$keys/submit.key" status
echo '{"keys": [' >"$keys/allow.json"
kill -HUP $broker
wait_for 5 grep -q 'stays in force' "$WORK/broker.log" || die "a broken list is not told of"
client "$keys/operate.key" status >/dev/null || die "a broken list locked everybody out"
