#!/bin/bash
# deploy/slurm/annotate.sbatch on a real slurmctld and slurmd of this one machine: an array of two workers empties a campaign
# and gives its place back; a cancelled array hands back what it had begun. Needs root, slurm-wlm, munge and redis-server.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for tool in slurmctld slurmd sbatch munged redis-server; do
    command -v $tool >/dev/null || { echo "needs $tool (packages slurm-wlm, munge, redis-server)"; exit 77; }
done
PIDS=()
end_slurm() {
    timeout 10 scancel --quiet --user=root 2>/dev/null
    # slurmd waits for steps that hang, and nobody waits for it.
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null; done
    wait_for 5 [ -z "$(jobs -rp)" ]
    for pid in $(jobs -rp); do kill -9 "$pid" 2>/dev/null; done
}
trap 'code=$?; end_slurm; (exit $code); finish' EXIT

chmod 755 "$WORK"
mkdir -p "$WORK"/{state,spool,munge,tmp}
chown -R munge: "$WORK/munge" 2>/dev/null || chmod 700 "$WORK/munge"
dd if=/dev/urandom of="$WORK/munge.key" bs=1024 count=1 status=none && chown munge "$WORK/munge.key" && chmod 400 "$WORK/munge.key"
runuser -u munge -- munged --foreground --force --key-file="$WORK/munge.key" --socket="$WORK/munge/socket" --pid-file="$WORK/munge/pid" \
    --seed-file="$WORK/munge/seed" --log-file="$WORK/munge/log" &
PIDS+=($!)
wait_for 10 [ -S "$WORK/munge/socket" ] || die "munged does not run: $(cat "$WORK/munge/log")"

host=$(hostname -s)
cat >"$WORK/slurm.conf" <<CONF
ClusterName=ferretry
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17817
SlurmdPort=17818
AuthType=auth/munge
AuthInfo=socket=$WORK/munge/socket
CryptoType=crypto/munge
SlurmUser=root
StateSaveLocation=$WORK/state
SlurmdSpoolDir=$WORK/spool
SlurmctldPidFile=$WORK/slurmctld.pid
SlurmdPidFile=$WORK/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=60
MpiDefault=none
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
CONF
export SLURM_CONF=$WORK/slurm.conf
slurmctld -D >"$WORK/slurmctld.log" 2>&1 &
PIDS+=($!)
slurmd -D -N "$host" >"$WORK/slurmd.log" 2>&1 &
PIDS+=($!)
node_is_idle() { sinfo -h -o %T | grep -qE '^(idle|mixed|allocated)$'; }
wait_for 60 node_is_idle || die "the node is $(sinfo -h -o '%T %E'): $(tail -n 5 "$WORK/slurmctld.log" "$WORK/slurmd.log")"

# Redis and broker as on a head node; the class comes from the workers.
redis-server "$ROOT/deploy/redis.conf" --port 0 --unixsocket "$WORK/redis.sock" --dir "$WORK/tmp" --logfile "$WORK/redis.log" &
PIDS+=($!)
ferret-broker --redis "$WORK/redis.sock" --client-bind tcp://127.0.0.1:17411 --worker-bind tcp://127.0.0.1:17412 2>"$WORK/broker.log" &
PIDS+=($!)
export FERRET_BROKER=tcp://127.0.0.1:17411
wait_for 20 ferret status || die "no broker: $(cat "$WORK/broker.log")"

array() { # JOB-NAME: two workers that leave after 15 s without work
    sbatch --parsable --chdir="$WORK" --job-name="$1" --array=0-1 --cpus-per-task=1 --output="$WORK/$1-%a.log" \
        --export="ALL,FERRET_BROKER=tcp://127.0.0.1:17412,FERRETRY_CLIENTS=tcp://127.0.0.1:17411,FERRETRY_IDLE_S=15,FERRETRY_ROOTS=photos=$ROOT/tests/e2e/corpus/files" \
        "$ROOT/deploy/slurm/annotate.sbatch"
}
job=$(array first) || die "sbatch"
campaign=$(ferret submit "$ROOT/tests/e2e/corpus/files" --root "photos=$ROOT/tests/e2e/corpus/files") || die "submit: $(cat "$WORK"/first-*.log)"
workers() { ferret admin queue --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["workers"]))'; }
two_workers() { [ "$(workers)" = 2 ]; }
wait_for 60 two_workers || die "there are $(workers) workers: $(cat "$WORK"/first-*.log)"
is_complete() { [ "$(campaign_field "$campaign" completed)" = True ]; }
wait_for 300 is_complete || die "not complete: $(ferret status "$campaign")"
ferret status "$campaign"
is_over() { [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; }
wait_for 90 is_over "$job" || die "the array does not end when the queue is empty: $(squeue)"
want "workers once the array has ended" 0 "$(workers)"

# Cancelled in the middle: nothing stays owned, and the next array finishes.
job=$(array second)
wait_for 60 two_workers || die "the second array has $(workers) workers"
ferret submit "$ROOT/tests/e2e/corpus/files" --campaign again --root "photos=$ROOT/tests/e2e/corpus/files" >/dev/null || die "submit"
is_running() { [ "$(campaign_field again running)" -gt 0 ]; }
wait_for 60 is_running || die "nothing runs"
scancel --signal=TERM --batch "$job"
begin=$SECONDS
wait_for 120 is_over "$job" || die "the array does not end when it is told to: $(squeue)"
echo "measured: an array in the middle of its work ended $((SECONDS - begin)) s after SIGTERM"
want "images that ended workers own" 0 "$(campaign_field again running)"
job=$(array third)
again_is_complete() { [ "$(campaign_field again completed)" = True ]; }
wait_for 300 again_is_complete || die "not complete: $(ferret status again)"
ferret status again
wait_for 90 is_over "$job" || die "the third array does not end: $(squeue)"
