#!/bin/bash
# A bucket on a real S3 server that checks every signature: keys of the environment, of a file and of a session, names
# with all that signing has to code, a listing, a shard read by ranges; in one process and through the queue.
. "$(dirname "$0")/lib.sh"
server=$ROOT/build/test/s3-server-$(python3 -c 'import sys; print(sys.version_info[1])')
mkdir -p "$ROOT/build/test"
"$ROOT/tests/e2e/bucket/install.sh" "$server" 2>"$WORK/install.err" ||
    { echo "no S3 server: it did not come from PyPI: $(tail -n 1 "$WORK/install.err")"; exit 77; }

files=$ROOT/tests/e2e/corpus/files
mkdir -p "$WORK/objects/2024/a b" "$WORK/objects/shards"
cp "$files/tiny.png" "$WORK/objects/2024/plain.png"
cp "$files/tiny.png" "$WORK/objects/2024/a b/ä+~(x)&=%41;,'\$@!*.png"
cp "$files/scene.webp" "$WORK/objects/2024/question?mark#.webp"
(cd "$files" && tar cf "$WORK/objects/shards/00000.tar" tiny.png scene.webp "猫と犬.jpg")
env -u AWS_PROFILE PYTHONPATH="$server" HOME="$WORK" python3 "$ROOT/tests/e2e/bucket/server.py" "$WORK" >"$WORK/server.log" 2>&1 &
SERVER=$!
at_end() { kill "$SERVER" 2>/dev/null; }
wait_for 120 test -f "$WORK/env" || die "the S3 server is not ready: $(tail -n 20 "$WORK/server.log")"
unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
. "$WORK/env"
export HOME=$WORK

# annotate NAME [FLAGS] INPUTS: records to NAME.jsonl; its exit code is in CODE.
annotate() {
    local name=$1
    shift
    "$FERRET" annotate --max-tokens 2 "$@" >"$WORK/$name.jsonl" 2>"$WORK/$name.err"
    CODE=$?
}
# What the records of NAME say: "ID STATUS-OR-CODE" sorted.
said() {
    python3 -c 'import json, sys
for r in sorted((json.loads(line) for line in open(sys.argv[1])), key=lambda r: r["id"]):
    print(r["id"], r.get("error", {}).get("code", r["status"]))' "$WORK/$1.jsonl"
}

# What has the ETag that it had is not asked for again; the question is signed too.
for time in 0 1; do
    AWS_ACCESS_KEY_ID=$KEY AWS_SECRET_ACCESS_KEY=$SECRET annotate kept --feature-cache "$WORK/features" s3://pictures/2024/plain.png
    grep -q "; $time were not read again$" "$WORK/kept.err" || die "run $time: $(cat "$WORK/kept.err")"
done

AWS_ACCESS_KEY_ID=$KEY AWS_SECRET_ACCESS_KEY=$SECRET annotate environment s3://pictures/ s3://pictures/2024/gone.png s3://nobody/x.png s3://pictures/2024/../a.png
want "exit code with some that are not there" 1 $CODE
want "what a bucket holds" "s3://nobody/x.png missing_file
s3://pictures/2024/../a.png bad_uri
s3://pictures/2024/a b/ä+~(x)&=%41;,'\$@!*.png ok
s3://pictures/2024/gone.png missing_file
s3://pictures/2024/plain.png ok
s3://pictures/2024/question?mark#.webp ok
s3://pictures/shards/00000.tar#scene.webp ok
s3://pictures/shards/00000.tar#tiny.png ok
s3://pictures/shards/00000.tar#猫と犬.jpg ok" "$(said environment)"

AWS_ACCESS_KEY_ID=$KEY AWS_SECRET_ACCESS_KEY=not-this annotate wrong s3://pictures/2024/plain.png
want "a wrong key" "s3://pictures/2024/plain.png denied" "$(said wrong)"
grep -q SignatureDoesNotMatch "$WORK/wrong.jsonl" || die "the server's word is missing: $(cat "$WORK/wrong.jsonl")"
annotate unsigned s3://pictures/2024/plain.png
grep -q 'no keys were found' "$WORK/unsigned.jsonl" || die "an unsigned request is not told: $(cat "$WORK/unsigned.jsonl")"
AWS_ACCESS_KEY_ID=$SESSION_KEY AWS_SECRET_ACCESS_KEY=$SESSION_SECRET AWS_SESSION_TOKEN=$SESSION_TOKEN annotate session s3://pictures/2024/plain.png
want "keys of a session" 0 $CODE

# A profile of a file, through the queue; `up` hands it to its worker.
mkdir "$WORK/.aws"
printf '[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n\n[archive]\naws_access_key_id = %s\naws_secret_access_key=%s\n' \
    "$KEY" "$SECRET" >"$WORK/.aws/credentials"
printf '[profile archive]\nregion = %s\n' "$AWS_REGION" >"$WORK/.aws/config"
unset AWS_REGION
up_start "$WORK/data" --s3-profile archive
"$FERRET" submit s3://pictures/ --s3-profile archive --max-tokens 2 >"$WORK/name" 2>"$WORK/err" || die "submit: $(cat "$WORK/err")"
campaign=$(cat "$WORK/name")
timeout 120 "$FERRET" watch "$campaign" 2>"$WORK/watch.log"
want "exit code of watch" 0 $?
"$FERRET" export "$campaign" -o - >"$WORK/queued.jsonl" || die "export failed"
want "what the queue made of the bucket" "$(said environment | grep ' ok$')" "$(said queued)"
"$FERRET" export "$campaign" --s3-profile archive --format overlay -o "$WORK/drawn" 2>"$WORK/err" || die "export of drawings: $(cat "$WORK/err")"
want "pictures drawn from the bucket" 6 "$(find "$WORK/drawn" -name '*.png' | wc -l)"
