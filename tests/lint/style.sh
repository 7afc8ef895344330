#!/bin/bash
# Sizes, banned functions, headers that compile alone, layout. `style.sh` prints PASS or FAIL for each.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.sh
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT
failed=0
FILE_LINES=600
FUNCTION_LINES=80

code() { sources '*.c' '*.h' '*.cc' '*.cu' '*.cuh'; }
product() { code | grep -v '^tests/'; }

code | while IFS= read -r f; do
    lines=$(wc -l <"$f")
    [ "$lines" -le $FILE_LINES ] || echo "$f: $lines lines, at most $FILE_LINES"
done >"$complaints"
verdict "lint: files of at most $FILE_LINES lines" "$complaints" || failed=1

# The house's layout puts a function's braces at the first column, and no other ones.
code | xargs awk -v limit=$FUNCTION_LINES '
    FNR == 1 { start = 0 }
    /^[{]/ { start = FNR }
    /^[}]/ && start { if (FNR - start - 1 > limit) print FILENAME ":" start ": function of " FNR - start - 1 " lines, at most " limit; start = 0 }
' >"$complaints"
verdict "lint: functions of at most $FUNCTION_LINES lines" "$complaints" || failed=1

# `calls WORDS`: lines of the files on stdin that call one of them, comments apart.
calls() {
    xargs grep -nE "\\b($1)\(" | sed -E 's|/\*.*\*/||; s|//.*||' | grep -E "\\b($1)\(" | grep -vE '^[^:]+:[0-9]+: *\*'
}
{
    code | calls 'strcpy|strcat|sprintf|vsprintf|strtok|gets|alloca|tmpnam|mktemp'
    product | calls 'atoi|atol|atof|system|popen'
    product | grep -vE '^base/settings' | calls getenv | sed 's/$/  (the environment is read in base\/settings.c)/'
    product | grep -vE '(^|/)main\.c$|_child\.c$' | calls 'exit|abort' | sed 's/$/  (libraries never exit)/'
    code | xargs grep -nE '\b(TODO|FIXME|XXX)\b'
} >"$complaints"
verdict "lint: banned functions" "$complaints" || failed=1

# What a document links to is there.
sources '*.md' | while IFS= read -r document; do
    grep -oE '\]\([^) ]+\)' "$document" | sed -E 's/^\]\(//; s/\)$//; s/#.*//' | grep -vE '^(https?:|mailto:|$)' | while IFS= read -r target; do
        [ -e "$(dirname "$document")/$target" ] || echo "$document: $target is not there"
    done
done >"$complaints"
verdict "lint: links of documents" "$complaints" || failed=1

# A file that only works on the machine where it was written.
sources '*' | grep -vE '^tests/lint/style\.sh$' | xargs -d '\n' grep -nIE '(^|[^A-Za-z0-9._-])/(work|root|home|Users)/' >"$complaints"
verdict "lint: no paths of one machine" "$complaints" || failed=1

if [ -n "${CFLAGS_FOR_HEADERS:-}" ]; then
    # The bodies that instruction-set variants share are included behind their vector type, and what stands for cuBLASLt's
    # header needs those of the CUDA runtime, which not every machine has.
    sources '*.h' | grep -vE '^(kernels/cpu/(simd|vec)_|tests/simt/cublas/)' | xargs -P "$(nproc)" -I{} sh -c \
        '${CC:-gcc} '"$CFLAGS_FOR_HEADERS"' -fsyntax-only -x c -include "$1" /dev/null >/dev/null 2>&1 || echo "$1: does not compile alone"' _ {} >"$complaints"
    verdict "lint: headers compile alone" "$complaints" || failed=1
fi

# Layout differs between releases of clang-format; the tree follows the one of Debian 12.
FORMAT_VERSION=14
formatter=$(command -v clang-format-$FORMAT_VERSION || command -v clang-format)
if [ -n "$formatter" ] && "$formatter" --version | grep -q "version $FORMAT_VERSION\."; then
    code | xargs "$formatter" --dry-run -Werror 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c |
        sed -E 's/^ *([0-9]+) (.*)/\2: \1 places differ, `make format` puts them right/' >"$complaints"
    verdict "lint: clang-format" "$complaints" || failed=1
elif [ "${REQUIRE_ALL:-}" = 1 ]; then
    echo "FAIL lint: clang-format $FORMAT_VERSION is not here"
    failed=1
else
    echo "SKIP lint: clang-format $FORMAT_VERSION is not here"
fi
exit $failed
