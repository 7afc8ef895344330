#!/bin/bash
# The whole way of somebody's own data: a folder in COCO's format, records, training steps, a checkpoint in the published
# layout, `ferret` on it, scores.
set -u
. "$(dirname "$0")/lib.sh"
STEPS=${STEPS:-50}
TINY=$ROOT/tests/parity/fixtures/tiny-ferret-a     # random weights: the answers mean nothing, the way does
PYTHON=/usr/bin/python3
for package in numpy PIL sentencepiece torch; do
    $PYTHON -c "import $package" 2>/dev/null || { echo "no python3-$package"; exit 77; }
done
cd "$ROOT/model/reference" || exit 1
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1     # threads that wait for each other cost more than they bring here

# step WHAT COMMAND...: must end well; what it said is shown where it does not.
step() {
    local what=$1
    shift
    "$@" >"$WORK/step.log" 2>&1 && return
    local code=$?
    tail -n 20 "$WORK/step.log" >&2
    die "$what: code $code"
}

step "small data sets" $PYTHON -c "
from data import small_sets
small_sets.coco('$WORK/coco', 40, seed=1)
small_sets.coco('$WORK/held-out', 10, seed=2, split='val2017')
small_sets.expressions('$WORK/held-out', 'val2017')"

step "builder" $PYTHON -m data build --coco "$WORK/coco" --held-out "$WORK/held-out/val2017" --out "$WORK/built" --seed 1
step "records and images are there" $PYTHON -m data check "$WORK/built"
step "training" $PYTHON -m tuning "$TINY" "$WORK/built/records.jsonl" "$WORK/tuned" tower="$TINY-clip" preset=small steps="$STEPS" batch=1
want "training steps" "$STEPS" "$(wc -l <"$WORK/tuned/log.jsonl")"
$PYTHON - "$WORK/tuned/log.jsonl" <<'PYTHON' || die "the loss did not fall"
import json, sys
losses = [json.loads(line)['loss'] for line in open(sys.argv[1])]
share = len(losses) // 4
first, last = sum(losses[:share]) / share, sum(losses[-share:]) / share
print('loss %.3f -> %.3f' % (first, last))
sys.exit(not last < first)
PYTHON

step "ferret inspect" "$FERRET" inspect "$WORK/tuned"
annotations=$WORK/held-out/finetune_refcoco_val2017.json
step "manifest" $PYTHON -m evaluation manifest refcoco --annotations "$annotations" --images "$WORK/held-out/val2017" -o "$WORK/questions.jsonl"
step "ferret annotate" "$FERRET" annotate "$WORK/questions.jsonl" --model "$WORK/tuned" -o "$WORK/results.jsonl"
step "scores" $PYTHON -m evaluation score refcoco --annotations "$annotations" --images "$WORK/held-out/val2017" \
    --results "$WORK/results.jsonl" -o "$WORK/score.json"
cat "$WORK/step.log"
$PYTHON - "$annotations" "$WORK/score.json" <<'PYTHON' || die "an expression has no score"
import json, sys
asked, score = len(json.load(open(sys.argv[1]))['images']), json.load(open(sys.argv[2]))
sys.exit(not asked or (score['asked'], score['missing'], score['measures']['acc']['n']) != (asked, 0, asked))
PYTHON

# What was saved is what the C program runs: its answer begins as that of the reference on the same folder.
image=$WORK/held-out/val2017/000000000002.png
step "ferret annotate, one question" "$FERRET" annotate "$image" --model "$WORK/tuned" --task ask --question 'Where is the dog?' -o "$WORK/one.jsonl"
$PYTHON - "$WORK/tuned" "$image" "$WORK/one.jsonl" <<'PYTHON' || die "the C program answers otherwise than the reference"
import json, sys
from PIL import Image
from ferret import Ferret
said = Ferret(sys.argv[1]).answer(Image.open(sys.argv[2]), ['Where is the dog?'], max_new_tokens=12, smallest_margin=1e-3).text.rstrip('\ufffd')
found = json.loads(open(sys.argv[3]).readline())['tasks'][0]['text']
print('reference: %s\nC program: %s' % (said, found[:len(said)]))
sys.exit(not said or not found.startswith(said))
PYTHON
