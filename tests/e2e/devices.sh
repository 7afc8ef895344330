#!/bin/bash
# A device that is not there ends a program with one sentence; the CUDA sources, emulated, answer like the CPU.
. "$(dirname "$0")/lib.sh"
image=$ROOT/tests/parity/fixtures/images/scene-10000000.png
for program in "$BIN/ferret-worker --data $WORK" "$FERRET annotate $image"; do
    $program --device cuda:999 >"$WORK/out" 2>"$WORK/err"
    [ $? -ne 0 ] || die "$program runs on cuda:999"
    grep -q "device 'cuda:999': " "$WORK/err" || die "$program does not say why: $(cat "$WORK/err")"
    want "lines about cuda:999" 1 "$(grep -c . "$WORK/err")"
    $program --device cuda:all >"$WORK/out" 2>"$WORK/err"
    want "code of one process on all devices" 2 $?
    grep -q 'a process runs on one device; `ferret up`' "$WORK/err" || die "$program does not say who can: $(cat "$WORK/err")"
done
"$FERRET" up --data "$WORK/none" --device cuda:all >"$WORK/out" 2>"$WORK/err" && die "up runs on devices that are not there"
grep -q "device 'cuda:0': " "$WORK/err" || die "up does not say why: $(cat "$WORK/err")"
if [ ! -f "$BIN/../lib/ferretry/ferret-simt.so" ]; then
    echo "no emulated device in this build: it needs the CUDA headers"
    exit 77
fi
for device in cpu simt; do
    "$FERRET" annotate "$image" --device $device --dtype f32 --memory 200MiB --max-tokens 40 -o "$WORK/$device.jsonl" || die "annotate on $device failed"
done
python3 - "$WORK" <<'PYTHON' || die "the emulated device answers otherwise"
import json, sys
cpu, simt = (json.load(open(f'{sys.argv[1]}/{device}.jsonl')) for device in ('cpu', 'simt'))
for a, b in zip(cpu['tasks'], simt['tasks'], strict=True):
    for key in ('text', 'tokens', 'finish_reason', 'boxes'):
        assert a.get(key) == b.get(key), (key, a.get(key), b.get(key))
assert cpu['tasks'][0]['tokens']['output'] == 40, cpu['tasks'][0]['tokens']
assert simt['engine']['invariant'] is True
PYTHON
# The machine has three emulated devices, an order of threads each: up starts a worker for each.
tiny=$ROOT/tests/parity/fixtures/tiny-ferret-a
up_start "$WORK/all" --device simt:all --model "$tiny" --vision-tower "$tiny-clip" --dtype f32 --memory 64MiB --http off
want "workers that are ready" 1 "$(grep -c 'ready: 3 workers' "$WORK/up.log")"
for n in 0 1 2; do
    grep -q "on simt:$n emulated" "$WORK/up.log" || die "no worker on simt:$n"
done
want "accounts of memory" 3 "$(grep -c 'memory: budget 64 MiB; weights ' "$WORK/up.log")"
up_stop
want "code of up" 0 "$UP_CODE"
