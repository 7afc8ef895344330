#!/bin/bash
# The units under a systemd of their own: this machine's file system with a layer over it is booted as a container without
# a network, the tree is installed into the layer, and the sample images are annotated by Redis, broker and worker as the
# units start them. Needs root and the packages systemd-sysv, systemd-container and redis-server.
set -u
cd "$(dirname "$0")/../.." || exit 1
TREE=$PWD
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for tool in systemd-nspawn nsenter redis-server; do
    command -v $tool >/dev/null || { echo "needs $tool (packages systemd-container, util-linux, redis-server)"; exit 77; }
done
work=$(mktemp -d /tmp/ferret-systemd.XXXXXX)
root=$work/root
nspawn=

die() {
    echo "not as it should be: $*"
    inside journalctl --no-pager -n 60 -u 'ferret*' 2>/dev/null
    exit 1
}
finish() {
    local code=$?
    if [ -n "$nspawn" ]; then
        kill -TERM "$nspawn" # asks the system to halt
        wait "$nspawn" 2>/dev/null
    fi
    umount "$root" 2>/dev/null
    umount "$work" 2>/dev/null
    rmdir "$work"
    exit $code
}
trap finish EXIT
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.2
    done
}
want() { [ "$2" = "$3" ] || die "$1: expected $2, found $3"; }

mount -t tmpfs tmpfs "$work"
mkdir "$root" "$work/upper" "$work/scratch"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" "$root" || { echo "no overlay here"; exit 77; }
# What this machine starts by itself is not what is tested.
rm -f "$root"/etc/systemd/system/*.wants/* && : >"$root/etc/machine-id"

make --no-print-directory NVCC= DESTDIR="$root" PREFIX=/usr/local install >/dev/null || die "make install"
install -d -m 750 "$root/etc/ferretry"
install -m 644 "$root/usr/local/share/doc/ferretry/examples/redis.conf" "$root/etc/ferretry/"
install -m 600 "$root"/usr/local/share/doc/ferretry/examples/{broker,worker}.json "$root/etc/ferretry/"
install -d "$root/srv/photos" && cp "$TREE"/tests/e2e/corpus/files/* "$root/srv/photos/"

systemd-nspawn --quiet --register=no --keep-unit --directory="$root" --boot --private-network --console=pipe \
    --bind-ro="$TREE:/tree" </dev/null >"$work/console" 2>&1 &
nspawn=$!
init() { pgrep -P $nspawn -x systemd | head -n 1; }
inside() { nsenter -t "$(init)" -a "$@"; }
wait_for 60 init || { cat "$work/console"; die "nothing was booted"; }
is_up() { inside systemctl is-system-running | grep -qE 'running|degraded'; }
wait_for 90 is_up || die "the system is not up"

inside systemd-sysusers || die "systemd-sysusers"
chgrp "$(inside id -g ferretry)" "$root/etc/ferretry" "$root/etc/ferretry/redis.conf"
inside systemctl daemon-reload
inside systemctl enable --now ferretry.target ferret-redis ferret-broker ferret-worker@cpu || die "enable --now"
ferret() { inside /usr/local/bin/ferret "$@"; }
wait_for 30 ferret status --data /run/ferretry || die "no broker answers"
campaign=$(ferret submit --data /run/ferretry --root photos=/srv/photos /srv/photos) || die "submit"
is_complete() { ferret status "$campaign" --data /run/ferretry --json | grep -q '"completed":true'; }

# While it works: who runs as whom, how confined.
decoder() { pgrep --ns "$(init)" --nslist pid -x ferret-decode | head -n 1; }
wait_for 60 decoder || die "no decoding child runs"
# One filter is the unit's, the next one the child's own.
filters() { awk '/^Seccomp_filters:/ { print $2 }' "/proc/$1/status"; }
of_worker=$(filters "$(pgrep --ns "$(init)" --nslist pid -x ferret-worker | head -n 1)")
want "seccomp filters of a decoding child, beside $of_worker of its worker" $((of_worker + 1)) "$(filters "$(decoder)")"
for unit in ferret-redis ferret-broker ferret-worker@cpu; do
    want "user of $unit" ferretry "$(inside ps -o user= -p "$(inside systemctl show -P MainPID $unit)")"
    want "state of $unit" active "$(inside systemctl is-active $unit)"
done
wait_for 300 is_complete || die "the campaign is not complete: $(ferret status "$campaign" --data /run/ferretry)"
ferret status "$campaign" --data /run/ferretry

# Killed, each is back, and work goes on.
for unit in ferret-worker@cpu ferret-broker ferret-redis; do
    pid=$(inside systemctl show -P MainPID $unit)
    inside kill -9 "$pid"
    is_back() { [ "$(inside systemctl show -P MainPID $unit)" != "$pid" ] && [ "$(inside systemctl is-active $unit)" = active ]; }
    wait_for 60 is_back || die "$unit was not started again"
done
wait_for 60 ferret status --data /run/ferretry || die "no broker answers after the kills"
campaign=$(ferret submit --data /run/ferretry --root photos=/srv/photos /srv/photos --campaign again) || die "submit after the kills"

# Stopped in the middle, a worker finishes or hands back, and ends by itself.
is_running() { ferret status again --data /run/ferretry --json | grep -qE '"running":[1-9]'; }
wait_for 60 is_running || die "nothing runs after the kills"
begin=$SECONDS
inside systemctl stop ferret-worker@cpu
want "result of a worker that was stopped" success "$(inside systemctl show -P Result ferret-worker@cpu)"
want "images that a stopped worker still owns" 0 "$(ferret status again --data /run/ferretry --json | sed 's/.*"running":\([0-9]*\).*/\1/')"
echo "measured: a worker in the middle of its work was stopped in $((SECONDS - begin)) s"
inside systemctl start ferret-worker@cpu
wait_for 300 is_complete || die "the second campaign is not complete"

# Settings that are wrong are not tried again and again.
echo '{"route": "sideways"}' >"$root/etc/ferretry/broker.json"
inside systemctl restart ferret-broker
gave_up() { [ "$(inside systemctl is-active ferret-broker)" = failed ]; }
wait_for 20 gave_up || die "a broker with wrong settings is started again and again"
for unit in ferret-redis.service ferret-broker.service ferret-worker@cpu.service; do
    echo "measured: $(inside systemd-analyze security --no-pager $unit 2>/dev/null | tail -n 1 | sed 's/^[^A-Za-z]*//')"
done
