#!/bin/bash
# `make bench-gpu` under the emulator, so that it runs where a GPU is: `smoke.sh BENCH`. No speed is looked at.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAIL bench-gpu: $1"; exit 1; }

"$1" "$folder" simt tiny bf16 >"$folder/log" 2>&1 || fail "$(tail -1 "$folder/log")"
grep -q '^  bf16  K .* number [0-9]* of [0-9]*$' "$folder/log" || fail 'it prints no table of products'
! grep -q 'none qualifies' "$folder/log" || fail 'a product without an algorithm'
for file in "$folder"/gpu.*_bf16.json; do
    name=$(basename "$file" .json)
    grep -q "^$name	" tests/bench/measures.tsv || fail "$name is not in measures.tsv"
done
cut -f1 tests/bench/measures.tsv | grep '^gpu\..*_bf16$' | while read -r name; do
    [ -e "$folder/$name.json" ] || { echo "$name"; break; }
done >"$folder/missing"
[ ! -s "$folder/missing" ] || fail "$(cat "$folder/missing") was not measured"
python3 tests/bench/table.py "$folder" >"$folder/table" && grep -q '^gpu.qkv_prefill_bf16 ' "$folder/table" || fail 'no table comes out'
if [ ! -e /dev/nvidiactl ]; then
    ! "$1" "$folder" cuda:0 7b >"$folder/out" 2>"$folder/refusal" || fail 'it ends well without a GPU'
    [ "$(wc -l <"$folder/refusal")" = 1 ] && grep -q '^bench-gpu: device .cuda:0.: ' "$folder/refusal" || fail 'it does not say in one sentence why it cannot run'
fi
echo 'PASS bench-gpu: it runs under the emulator, its measures are those of measures.tsv, and it refuses where no GPU is'
