#!/bin/bash
# Runs a command whose processes write their sanitizers' reports into a folder, then reads every report: daemons, decode
# children and the children of a test runner end where nobody reads their stderr or their exit code.
#   run.sh FOLDER COMMAND...     exits 1 where a report counts, else with the command's code
# Leaks do not decide exit codes, so that a program under test keeps its own; all else ends in SIGABRT.
set -u
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" || exit 1
SANITIZER_REPORTS=$(cd "$1" && pwd)
export SANITIZER_REPORTS
find "$SANITIZER_REPORTS" -name 'report.*' -delete
shift
common=log_path=$SANITIZER_REPORTS/report:log_exe_name=1
export ASAN_OPTIONS=$common:abort_on_error=1:allocator_may_return_null=1 UBSAN_OPTIONS=$common:abort_on_error=1:print_stacktrace=1 LSAN_OPTIONS=exitcode=0:suppressions=$here/leak.supp:print_suppressions=0
export TSAN_OPTIONS=$common:exitcode=66:allocator_may_return_null=1:suppressions=$here/thread.supp
"$@"
code=$?

# Prints what counts of a report. Not counted: an allocation beyond a limit, which tests ask for; a leak whose frames are
# all in Criterion (its runner forgets a message now and then) below the allocator (frame 0) and above the C library.
counts() {
    awk '
        function end_leak() { if (leak != "" && !(criterion && !others)) printf "%s", leak; leak = "" }
        /^(Direct|Indirect) leak of / { end_leak(); leak = $0 "\n"; criterion = others = 0; next }
        leak != "" && /^ +#[0-9]+ / {
            leak = leak $0 "\n"
            if (/\(.*\/libcriterion\.so/) criterion = 1
            else if (!/^ +#0 / && !/\(.*\/libc\.so/ && !/ in (__libc_start_|_start )/) others = 1
            next
        }
        { end_leak() }
        /^[= -]*$/ || /ERROR: LeakSanitizer: detected memory leaks$/ || /^SUMMARY: AddressSanitizer: [0-9]+ byte\(s\) leaked/ { next }
        /WARNING: (Address|Thread)Sanitizer failed to allocate / { next }
        { print }
        END { end_leak() }' "$1"
}

found=0
for report in "$SANITIZER_REPORTS"/report.*; do
    [ -s "$report" ] || continue
    text=$(counts "$report")
    [ -n "$text" ] || continue
    sed 's/^/    /' <<<"$text"
    what=$(grep -oE '(ERROR|WARNING): [A-Za-z]+Sanitizer: [^(]*|runtime error: .*|(Direct|Indirect) leak of .* byte' <<<"$text" | head -n 1)
    echo "FAIL sanitizer: ${report##*/report.}: ${what:-see above}"
    found=1
done
[ $found -eq 0 ] || exit 1
echo "PASS sanitizer: no report"
exit $code
