#!/bin/bash
# `make demo`: the sample corpus through Redis, broker and two workers, then drawn. DEMO_KILL=1 kills a worker half way
# to show that no image is lost; DEMO_DIR says where everything goes (emptied first).
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=${BIN:-$root/build/bin}
dir=${DEMO_DIR:-$root/build/demo}
export PATH="$bin:$PATH"
unset FERRET_BROKER FERRET_CONFIG FERRET_CAMPAIGN
up=

say() { printf '\n== %s\n' "$*" >&2; }
stop() {
    local code=$?
    if [ -n "$up" ]; then
        kill -INT "$up" 2>/dev/null
        wait "$up"
    fi
    pkill -P $$ # what it was waiting for
    exit $code
}
trap stop EXIT # also by TERM and HUP, at once
trap 'exit 130' INT # a child may take Ctrl-C for its own

rm -rf "$dir"
mkdir -p "$dir"
export FERRET_DATA=$dir/data

manifest=$root/tests/e2e/corpus/manifest.jsonl

say "starting Redis, a broker and two workers (log: $dir/up.log)"
ferret up --workers 2 2>"$dir/up.log" &
up=$!
until grep -q 'ferret up: ready' "$dir/up.log"; do
    if ! kill -0 "$up" 2>/dev/null; then
        cat "$dir/up.log" >&2
        exit 1
    fi
    sleep 0.1
done
grep -E '^(model|device): ' "$dir/up.log" >&2

say "submitting $(wc -l <"$manifest") images"
campaign=$(ferret submit "$manifest" --max-tokens 128) || exit 1
echo "campaign $campaign"

if [ "${DEMO_KILL:-}" = 1 ]; then
    half=$(($(wc -l <"$manifest") / 2))
    until ended=$(ferret status "$campaign" --json | sed -E 's/.*"done":([0-9]+).*/\1/') && [ "$ended" -ge "$half" ]; do
        sleep 0.2
    done
    victim=$(sed -n 's/.* up: worker-0 started, process \([0-9]*\)$/\1/p' "$dir/up.log" | tail -n 1)
    say "killing worker-0 (process $victim) after $ended images"
    kill -9 "$victim"
fi

say "progress"
ferret watch "$campaign"
[ $? -le 1 ] || exit 1 # 1: some images failed, and one of the samples is broken on purpose

say "exporting"
ferret export "$campaign" -o "$dir/out/records" &&
    ferret export --from "$dir/out/records" -o - >"$dir/out/records.jsonl" &&
    ferret export "$campaign" --format overlay -o "$dir/out/overlay" &&
    ferret export "$campaign" --format html -o "$dir/out/html" || exit 1

say "stopping"
kill -INT "$up"
wait "$up" || exit 1
up=

records=$dir/out/records.jsonl
cat <<TEXT

$(wc -l <"$records") records, $(grep -c '"status":"failed"' "$records") of them failed (broken.jpg is broken on purpose)
  records    $records (and compressed, with a manifest: $dir/out/records)
  drawings   $dir/out/overlay
  gallery    $dir/out/html/index.html
TEXT
