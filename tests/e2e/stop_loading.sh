#!/bin/bash
# A stop that comes while a large model loads is heard there, not after the load: ferret-worker ends well, `ferret
# annotate` as interrupted. The model is 7B of sparse zeros, 27 GB in f32: nobody waits for it here.
. "$(dirname "$0")/lib.sh"
"$BIN/../test/parity/sparse_checkpoint" 7b pytorch "$WORK/7b" || die "no checkpoint"
cp "$ROOT/model/pretrained/tokenizer.model" "$WORK/7b/ferret/"
echo '{"<region_fea>": 32000}' >"$WORK/7b/ferret/added_tokens.json"

# stop_loading CODE COMMAND...
stop_loading() {
    local code=$1 pid
    shift
    "$@" --model "$WORK/7b/ferret" --base "$WORK/7b/base" --vision-tower "$WORK/7b/clip" --dtype f32 --memory 40GiB 2>"$WORK/err" &
    pid=$!
    packs_weights() { ! kill -0 $pid || [ "$(awk '/^VmRSS/ { print $2 }' /proc/$pid/status)" -gt $((400 * 1024)) ]; }
    wait_for 120 packs_weights || die "$1 loads nothing"
    kill -TERM $pid
    wait $pid
    want "exit code of $1" "$code" $?
}
stop_loading 0 "$BIN/ferret-worker" --broker "ipc://$WORK/nobody"
grep -q 'told to stop while the model was loading' "$WORK/err" || die "the worker says: $(cat "$WORK/err")"
stop_loading 143 "$FERRET" annotate "$ROOT/tests/e2e/corpus/files/tiny.png" -o "$WORK/out.jsonl"
