#!/bin/bash
# A device that is lost in the middle of a step: its worker says so and ends with code 5, and every image still ends in
# one good record: what had begun is tried again, the rest goes on elsewhere.
. "$(dirname "$0")/lib.sh"
mkdir "$WORK/bin" "$WORK/images"
cp "$BIN/ferret" "$WORK/bin/ferret" # `ferret up` starts the programs beside it
ln -s "$BIN/ferret-broker" "$WORK/bin/ferret-broker"
ln -s "$BIN/../test/worker-losing-its-device" "$WORK/bin/ferret-worker"
for i in $(seq 40); do
    cp "$ROOT/tests/e2e/corpus/files/tiny.png" "$WORK/images/$i.png"
done

export LOSE_DEVICE_ONCE=$WORK/lost
FERRET=$WORK/bin/ferret
up_start "$WORK/data" --workers 2 --model "$ROOT/model/pretrained"
campaign=$("$FERRET" submit "$WORK/images" --task ask --question "What is there?" --max-tokens 64) || die "submit failed"
timeout 300 "$FERRET" watch "$campaign" 2>"$WORK/watch.log"
want "exit code of watch" 0 $?
[ -e "$WORK/lost" ] || die "no device was lost"
want "workers that ended with code 5" 1 "$(grep -c 'up: worker-[01] ended with code 5' "$WORK/up.log")"
want "workers that ended otherwise" 1 "$(grep -c 'up: worker-[01] \(ended with code\|was killed\)' "$WORK/up.log")"
grep -q 'the device fell off the bus' "$WORK/up.log" || die "the worker does not say what it lost"
want "images done" 40 "$(campaign_field "$campaign" done)"
"$FERRET" export "$campaign" -o - >"$WORK/records.jsonl" || die "export failed"
want "records" 40 "$(wc -l <"$WORK/records.jsonl")"
want "records that are ok" 40 "$(grep -c '"status":"ok"' "$WORK/records.jsonl")"
