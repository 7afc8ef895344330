#!/bin/bash
# Inputs that are no jobs go the way of all others: each ends in a failed record with the word of its error.
. "$(dirname "$0")/lib.sh"
cp "$ROOT/tests/e2e/corpus/files/tiny.png" "$WORK/good.png"
mkdir "$WORK/folder.jpg"
long=$(printf 'x%.0s' $(seq 12000))
cat >"$WORK/m.jsonl" <<JSON
{"id": "good", "image": "good.png"}
{"id": "task", "image": "good.png", "task": "sing"}
{"image": "good.png", "tasks":
{"id": "gone", "image": "gone.png"}
{"id": "folder", "image": "folder.jpg"}
{"id": "long", "image": "good.png", "tasks": [{"kind": "ask", "turns": ["$long", "$long", "$long"]}]}
{"id": "$(printf 'k%.0s' $(seq 5000))", "image": "good.png"}
{"id": "wide", "image": "data:$long"}
{"id": "good", "image": "good.png", "task": "ask", "question": "Another job?"}
{"id": "good", "image": "good.png"}
{"id": "last", "image": "good.png"}
JSON
up_start "$WORK/data"
"$FERRET" submit "$WORK/m.jsonl" --max-tokens 16 >"$WORK/name" 2>"$WORK/err"
code=$?
cat "$WORK/err"
want "exit code of submit with bad lines" 1 $code
grep -q 'm.jsonl:9: id "good" names another job already, at .*m.jsonl:1$' "$WORK/err" || die "submit does not tell of an id that is there twice"
campaign=$(cat "$WORK/name")
"$FERRET" watch "$campaign" 2>"$WORK/watch.log"
want "exit code of watch" 1 $?
grep -q ', complete$' "$WORK/watch.log" || die "watch does not say why it ends"
grep -q 'unknown_task 1' "$WORK/watch.log" || die "watch does not count kinds of failure: $(tail -n 1 "$WORK/watch.log")"
"$FERRET" export "$campaign" -o - >"$WORK/records.jsonl" || die "export failed"
python3 - "$WORK/records.jsonl" <<'PYTHON' || die "records are not as they should be"
import json, sys
found = {}
for line in open(sys.argv[1]):
    record = json.loads(line)
    found[record['id'].rsplit('/', 1)[-1]] = record.get('error', {}).get('code') if record['status'] == 'failed' else 'ok'
expected = {'good': 'ok', 'task': 'unknown_task', 'm.jsonl:3': 'invalid_job', 'gone': 'missing_file', 'folder': 'not_a_file',
            'long': 'too_long', 'm.jsonl:7': 'too_long', 'wide': 'too_long', 'm.jsonl:9': 'duplicate_id', 'last': 'ok'}
assert found == expected, found
PYTHON

# An id in front of the place where an earlier run was is known to the run that goes on behind it.
grown=$WORK/grown.jsonl
for i in $(seq 60); do
    printf '{"id": "%s", "image": "good.png", "meta": "%080d"}\n' "$i" "$i"
done >"$grown"
"$FERRET" submit "$grown" --campaign grown --max-tokens 2 >/dev/null 2>"$WORK/err" || die "submit failed: $(cat "$WORK/err")"
cat >>"$grown" <<JSON
{"id": "7", "image": "good.png", "task": "locate", "phrase": "ball"}
{"id": "61", "image": "good.png"}
JSON
"$FERRET" submit "$grown" --campaign grown --max-tokens 2 >/dev/null 2>"$WORK/err"
want "exit code of a submit that goes on with an id from before" 1 $?
grep -q 'goes on at byte' "$WORK/err" || die "submit did not go on: $(cat "$WORK/err")"
grep -q 'grown.jsonl:61: id "7" names another job already, at .*grown.jsonl:7$' "$WORK/err" || die "submit says: $(cat "$WORK/err")"
want "jobs of the campaign that went on" 62 "$(campaign_field grown total)"

# Nothing to submit is said, and watched no longer than it takes to see it.
mkdir "$WORK/empty"
"$FERRET" submit "$WORK/empty" --campaign empty >/dev/null 2>"$WORK/err"
want "exit code of submit without inputs" 0 $?
grep -q 'no inputs' "$WORK/err" || die "submit does not say that there was nothing"
timeout 30 "$FERRET" watch empty 2>"$WORK/err"
want "exit code of watch without jobs" 0 $?
grep -q 'complete, nothing was submitted to it$' "$WORK/err" || die "watch says: $(cat "$WORK/err")"

# A submit that is silent for a while is waited for; one that was killed is not for ever.
mkfifo "$WORK/slow"
"$FERRET" submit - --campaign slow --max-tokens 2 <"$WORK/slow" >/dev/null &
submit=$!
exec 8>"$WORK/slow"
printf '{"id": "1", "image": "%s"}\n' "$WORK/good.png" >&8
wait_for 30 "$FERRET" status slow || die "the campaign was not made"
"$FERRET" watch slow --interval 0.5 2>"$WORK/slow.log" 8>&- &
watch=$!
wait_for 60 grep -q 'waiting for more' "$WORK/slow.log" || die "watch says: $(cat "$WORK/slow.log")"
printf '{"id": "2", "image": "%s"}\n' "$WORK/good.png" >&8
exec 8>&-
wait $submit
want "exit code of the slow submit" 0 $?
wait $watch
want "exit code of watch on a slow submit" 0 $?
grep -q '^slow: 2 of 2 done.*, complete$' "$WORK/slow.log" || die "watch ended too early: $(tail -n 1 "$WORK/slow.log")"
mkfifo "$WORK/killed"
"$FERRET" submit - --campaign killed <"$WORK/killed" >/dev/null 2>&1 &
submit=$!
exec 8>"$WORK/killed"
wait_for 30 "$FERRET" status killed || die "the campaign was not made"
kill -9 $submit
wait $submit 2>/dev/null
exec 8>&-
timeout 30 "$FERRET" watch killed --idle 1 2>"$WORK/err"
want "exit code of watch on a killed submit" 0 $?
grep -q 'no submit has said that it is over$' "$WORK/err" || die "watch says: $(cat "$WORK/err")"

"$FERRET" watch nowhere 2>"$WORK/err"
want "exit code of watch without a campaign" 2 $?
want "what watch says without a campaign" 'ferret watch: campaign "nowhere": the broker says: no such campaign' "$(cat "$WORK/err")"
want "times that watch tells the end" 1 "$(grep -c 'complete$' "$WORK/watch.log")"

# Output that can't be written.
for command in "status" "status $campaign --json" "export $campaign -o -" "inspect $ROOT/model/pretrained" "--help" "status --help"; do
    # shellcheck disable=SC2086 # words
    "$FERRET" $command >/dev/full 2>"$WORK/err"
    want "exit code of ferret $command on a full disk" 1 $?
    grep -q 'No space left' "$WORK/err" || die "ferret $command does not say that the disk is full: $(cat "$WORK/err")"
done
for program in ferret-broker ferret-worker; do
    "$BIN/$program" --help >/dev/full 2>"$WORK/err"
    want "exit code of $program --help on a full disk" 1 $?
    grep -q "^$program: stdout: No space left" "$WORK/err" || die "$program does not say that the disk is full: $(cat "$WORK/err")"
done
"$FERRET" export "$campaign" -o - 2>"$WORK/err" | true
code=${PIPESTATUS[0]}
[ "$code" = 0 ] || [ "$code" = 1 ] || die "exit code of export without a reader: $code"
want "words of export without a reader" "" "$(cat "$WORK/err")"
(
    trap '' XFSZ
    ulimit -f 1
    "$FERRET" export "$campaign" -o "$WORK/jsonl" 2>"$WORK/err"
)
want "exit code of export without room" 1 $?
want "lines that export says without room" 1 "$(wc -l <"$WORK/err")"
want "half files of export without room" "" "$(find "$WORK/jsonl" -name '*.tmp' -o -name _manifest.json)"
"$FERRET" export "$campaign" -o "$WORK/jsonl" 2>/dev/null || die "export with room again"
want "records of export with room again" "$("$FERRET" export "$campaign" -o - 2>/dev/null | sort | sha256sum)" \
    "$("$FERRET" export --from "$WORK/jsonl" -o - | sort | sha256sum)"
for format in coco kosmos2 flickr30k webdataset openai overlay html; do
    "$FERRET" export "$campaign" --format $format -o "$WORK/new/$format/folder" 2>"$WORK/err" || die "export $format into folders that are to be made: $(cat "$WORK/err")"
done
"$FERRET" export "$campaign" --format coco -o "$WORK/err/folder" 2>"$WORK/said"
want "exit code of export below a file" 1 $?
grep -q "$WORK/err: the folder can't be made: Not a directory\|$WORK/err/folder: the folder can't be made: Not a directory" "$WORK/said" || die "export below a file says: $(cat "$WORK/said")"
# Pictures whose names are taken by folders can't be written, whoever runs this.
for format in overlay html; do
    "$FERRET" export "$campaign" --format $format -o "$WORK/$format" || die "export $format failed"
    find "$WORK/$format" -type f \( -name '*.png' -o -name '*.jpg' \) -exec rm {} \; -exec mkdir {} \;
    find "$WORK/$format" -type f -delete
    "$FERRET" export "$campaign" --format $format -o "$WORK/$format" 2>"$WORK/err"
    want "exit code of export $format that can't write" 1 $?
    want "lines that export $format says" 1 "$(wc -l <"$WORK/err")"
    want "files of export $format that can't write" "" "$(find "$WORK/$format" -type f)"
done
