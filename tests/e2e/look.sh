#!/bin/bash
# What is known before anything is spent (submit --plan), how drift is seen afterwards (report), and what a second run
# saves (--feature-cache): without a queue.
. "$(dirname "$0")/lib.sh"
files=$ROOT/tests/e2e/corpus/files

# A plan: a sample over the whole manifest, annotated here; nothing is submitted, since nothing runs that could take it.
export FERRET_DATA=$WORK/none
python3 - "$files" >"$WORK/many.jsonl" <<'PYTHON'
import json, sys
names = ['square.png', 'tiny.png', 'broken.jpg']
for i in range(3000):
    print(json.dumps({'id': 'i%04d' % i, 'image': '%s/%s' % (sys.argv[1], names[i % 3])}) if i % 10 else '{"id": "i%04d", "image": 7}' % i)
PYTHON
"$FERRET" submit "$WORK/many.jsonl" --plan 40 --max-tokens 2 --hourly-cost 3 --plan-workers 2 --json -o "$WORK/sheet" >"$WORK/plan.json" 2>"$WORK/err"
want "exit code of a plan with failures" 1 $?
python3 - "$WORK" <<'PYTHON' || die "the plan is not as it should be: $(cat "$WORK/plan.json")"
import json, sys
plan = json.load(open(sys.argv[1] + '/plan.json'))
assert (plan['inputs'], plan['rejected'], plan['sampled'], plan['workers']) == (3000, 300, 40, 2), plan
assert abs(plan['images_per_second'] - 40 / plan['seconds']) < 0.01 * plan['images_per_second'], plan
assert abs(plan['whole_s'] - 3000 / plan['images_per_second'] / 2) < 0.01 * plan['whole_s'], plan
assert abs(plan['cost'] - plan['whole_s'] / 3600 * 2 * 3) < 0.01 * plan['cost'], plan
assert plan['sample']['images'] == 40 and plan['sample']['failed'] == sum(plan['sample']['errors'].values()) > 0, plan
assert 'truncated' in plan['sample']['errors'], plan
data = open(sys.argv[1] + '/sheet/data/00000.js').read()
ids = sorted(r['id'] for r in json.loads(data[data.index('['):data.rindex(')')]))
assert len(set(ids)) == 40 and sum(i > 'i1500' for i in ids) > 8 and sum(i < 'i1500' for i in ids) > 8, 'no sample of the whole: %r' % ids
PYTHON
[ -s "$WORK/sheet/index.html" ] && [ "$(find "$WORK/sheet/pictures" -type f | wc -l)" -gt 5 ] || die "no contact sheet"
"$FERRET" submit "$files/tiny.png" --plan 5 --max-tokens 2 2>/dev/null >"$WORK/plan.txt" || die "a plan of one image"
grep -q '^sample  *1 images in' "$WORK/plan.txt" || die "$(cat "$WORK/plan.txt")"
"$FERRET" submit "$WORK/empty/" --plan 5 2>/dev/null
want "exit code of a plan of nothing" 1 $?

# A report: a day with empty answers, a worker with few boxes.
python3 - "$WORK" <<'PYTHON'
import json, random, sys
random.seed(3)
rows = []
for i in range(3000):
    day, worker = i // 1000, i % 3
    text = '' if day == 2 and random.random() < 0.2 else ' '.join(['word'] * random.randint(5, 15))
    boxes = [[0, 0, 5, 5]] * (random.randint(0, 1) if worker == 1 else random.randint(2, 5)) if text else []
    rows.append({'schema': 1, 'id': 'r%d' % i, 'job': None, 'campaign': None, 'image': {'uri': 'x', 'width': 9, 'height': 9}, 'ended_ms': 1764000000000 + 86400000 * day,
                 'worker': 'gpu%d 7' % worker, 'status': 'ok', 'tasks': [{'id': 'caption', 'task': 'caption', 'text': text, 'finish': 'repetition' if i % 50 == 0 else 'stop',
                 'entities': [{'phrase': '', 'span': [0, 0], 'boxes': boxes, 'score': 0.5}] if boxes else [], 'tokens': {'prompt': 1, 'output': 1}}]})
for i in range(60):
    rows.append({'schema': 1, 'id': 'f%d' % i, 'job': None, 'campaign': None, 'image': {}, 'tasks': [], 'status': 'failed', 'error': {'class': 'permanent', 'code': 'corrupt', 'message': 'x'}})
for name in 'ab':
    random.shuffle(rows)
    open('%s/%s.jsonl' % (sys.argv[1], name), 'w').writelines(json.dumps(r) + '\n' for r in rows)
PYTHON
for name in a b; do "$FERRET" report --from "$WORK/$name.jsonl" --json >"$WORK/$name.json" || die "report"; done
python3 - "$WORK" <<'PYTHON' || die "the report is not as it should be: $(cat "$WORK/a.json")"
import json, sys
a, b = (json.load(open('%s/%s.json' % (sys.argv[1], n))) for n in 'ab')
assert (a['images'], a['ok'], a['failed'], a['repetition'], a['errors']) == (3060, 3000, 60, 60, {'corrupt': 60}), a
differs = {r['name']: r['differs'] for r in a['by_day'] + a['by_worker']}
assert 'empty' in differs['2025-11-26'] and 'caption_words' in differs['2025-11-26'], differs
assert 'boxes' in differs['gpu1 7'] and 'empty' not in differs['gpu1 7'], differs
assert 'repetition' not in sum(differs.values(), []) and 'caption_words' not in differs['gpu0 7'], differs
assert len(a['samples']) == 100 and a['samples'] == b['samples'], 'samples depend on the order of records'
PYTHON
"$FERRET" report --from "$WORK/a.jsonl" >"$WORK/report.txt" || die "report as text"
grep -Eq '^2025-11-26 .*%!' "$WORK/report.txt" || die "$(cat "$WORK/report.txt")"
"$FERRET" report 2>/dev/null
want "exit code of a report of nothing" 2 $?

# A second campaign over the same images, with another task: what the tower made of them is not made again, and answers
# are those of a run that keeps nothing.
mapfile -t images < <(find "$files" -name '*.png' | sort)
annotate() { "$FERRET" annotate "${images[@]}" --max-tokens 8 "$@" 2>"$WORK/err" || die "annotate: $(cat "$WORK/err")"; }
annotate --feature-cache "$WORK/features" -o "$WORK/first.jsonl"
grep -q "^features: 0 images were kept, ${#images[@]} were not; 0 were not read again$" "$WORK/err" || die "$(cat "$WORK/err")"
annotate --task locate --phrase cow --feature-cache "$WORK/features" -o "$WORK/second.jsonl"
grep -q "^features: ${#images[@]} images were kept, 0 were not; ${#images[@]} were not read again$" "$WORK/err" || die "$(cat "$WORK/err")"
annotate --task locate --phrase cow -o "$WORK/third.jsonl"
python3 - "$WORK/second.jsonl" "$WORK/third.jsonl" <<'PYTHON' || die "an answer from kept features is another one"
import json, sys
def read(path):
    return {r['id']: {k: v for k, v in r.items() if k not in ('timings_ms', 'ended_ms', 'worker')} for r in map(json.loads, open(path))}
a, b = map(read, sys.argv[1:])
assert a == b and len(a) > 8, [k for k in a if a[k] != b.get(k)]
PYTHON

# Only what has not changed is left unread: a file that was written anew is another image, and one that was touched is
# read, and found to be the same.
cp -r "$files" "$WORK/copies"
images=("$WORK/copies/alpha.png" "$WORK/copies/tiny.png" "$WORK/copies/square.png")
is_old() { [ $(($(date +%s) - $(stat -c %Z "${images[0]}"))) -gt 3 ]; }
wait_for 10 is_old || die "files do not grow old"
annotate --feature-cache "$WORK/features" -o "$WORK/first.jsonl"
touch "${images[1]}"
cp "$files/landscape.jpg" "${images[2]}"
annotate --feature-cache "$WORK/features" -o "$WORK/second.jsonl"
grep -q "^features: 2 images were kept, 1 were not; 1 were not read again$" "$WORK/err" || die "$(cat "$WORK/err")"
want "which images they are" "$(sha256sum "${images[@]}" | cut -d ' ' -f 1 | sort)" \
    "$(python3 -c 'import json, sys; [print(json.loads(line)["image"]["sha256"]) for line in open(sys.argv[1])]' "$WORK/second.jsonl" | sort)"
