#!/bin/bash
# The reports decide: each planted mistake is found by run.sh, and a run without one is not complained of.
#   planted.sh PROGRAM FOLDER MISTAKE=WORDS...     WORDS: what the verdict must say
set -u
here=$(dirname "$0")
program=$1 folder=$2
shift 2
failed=0
verdict() {
    if [ "$2" = 0 ]; then echo "PASS sanitizer: $1"; else
        sed 's/^/    /' "$folder/log"
        echo "FAIL sanitizer: $1"
        failed=1
    fi
}
mkdir -p "$folder"
for pair in "$@"; do
    "$here/run.sh" "$folder" "$program" "${pair%%=*}" >"$folder/log" 2>&1
    [ $? -eq 1 ] && grep -q "^FAIL sanitizer: .*${pair#*=}" "$folder/log"
    verdict "a planted mistake is found: ${pair%%=*}" $?
done
"$here/run.sh" "$folder" "$program" nothing >"$folder/log" 2>&1
verdict "nothing planted, nothing found" $?
# A leak of Criterion's own is none of ours; the same bytes with one frame of ours are.
cat >"$folder/own" <<'TEXT'
Direct leak of 48 byte(s) in 1 object(s) allocated from:
    #0 0x7f0000000001 in malloc (build/test/unit-media+0x1)
    #1 0x7f0000000002  (/lib/x86_64-linux-gnu/libcriterion.so.3+0x2)
    #2 0x7f0000000003 in __libc_start_call_main (/lib/x86_64-linux-gnu/libc.so.6+0x3)
TEXT
"$here/run.sh" "$folder" cp "$folder/own" "$folder/report.own" >"$folder/log" 2>&1
verdict "Criterion's own leak is not ours" $?
sed -i '2a\    #1 0x7f0000000004 in job_free protocol/job.c:1' "$folder/own"
"$here/run.sh" "$folder" cp "$folder/own" "$folder/report.ours" >"$folder/log" 2>&1
[ $? -eq 1 ] && grep -q '^FAIL sanitizer: ours: Direct leak of 48' "$folder/log"
verdict "a leak below Criterion's test is ours" $?
exit $failed
