#!/bin/bash
# The bench runs, every measure that it writes is named in measures.tsv, and tables come out: `smoke.sh LAYERS`.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAIL bench: $1"; exit 1; }

printf "#!/bin/sh\nexec $1 \"\$1\" tiny\n" >"$folder/tiny" && chmod +x "$folder/tiny"
tests/bench/run.py "$folder/a" "$folder/tiny" >"$folder/log" 2>&1 || fail "$(tail -1 "$folder/log")"
for file in "$folder"/a/cpu.*.json; do
    [ -e "$file" ] || { grep -q 'needs AVX2' "$folder/log" && { echo 'SKIP bench: needs AVX2'; exit 0; }; fail 'no measure was written'; }
    name=$(basename "$file" .json)
    grep -q "^$name	" tests/bench/measures.tsv || fail "$name is not in measures.tsv"
done
cp -r "$folder/a" "$folder/b"
printf 'before\n<!-- speed: written by `make bench-table` -->\nold\n<!-- speed ends -->\nbehind\n' >"$folder/page.md"
tests/bench/table.py "$folder/a" --into "$folder/page.md" || fail 'table.py --into'
[ "$(head -1 "$folder/page.md")" = before ] && [ "$(tail -1 "$folder/page.md")" = behind ] && ! grep -q '^old$' "$folder/page.md" || fail 'the table does not take the place of the old one'
grep -q '^| `cpu.prefill_int8` |' "$folder/page.md" || fail 'the table lacks a measure'
tests/bench/compare.py "$folder/a" "$folder/b" >"$folder/ratios" && grep -qE '^cpu.decode1_int8 .* 1\.000' "$folder/ratios" || fail 'a run does not equal itself'
grep -q '^<!-- speed: written by' README.md && grep -q '^<!-- speed ends -->' README.md || fail 'README.md has lost the markers of the table'
echo 'PASS bench: it runs, its measures are named, and tables come out'
