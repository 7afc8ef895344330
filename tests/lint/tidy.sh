#!/bin/bash
# clang-tidy over the product's C files. Results are kept under build/tidy by the content of the file and of those of our
# headers that it includes, so that a second run costs only what changed.
#   CFLAGS_FOR_TIDY="..." TIDY_NODES=N tidy.sh     N: where the analyzer gives a function up
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.sh
if ! command -v clang-tidy >/dev/null; then
    if [ "${REQUIRE_ALL:-}" = 1 ]; then
        echo "FAIL lint: clang-tidy is not here"
        exit 1
    fi
    echo "SKIP lint: clang-tidy is not here"
    exit 0
fi
mkdir -p build/tidy

check() {
    local key out most="-Xclang -analyzer-config -Xclang max-nodes=$TIDY_NODES"
    key=build/tidy/$TIDY_NODES-$(cc -MM $CFLAGS_FOR_TIDY "$1" | sed 's/^[^:]*://; s/\\$//' | xargs cat .clang-tidy | sha256sum | cut -c1-32)
    [ -f "$key" ] && return 0
    if out=$(timeout 300 clang-tidy --quiet "$1" -- $CFLAGS_FOR_TIDY $most 2>/dev/null); then
        : >"$key"
    else
        printf '%s\n' "$out" | grep -E 'warning:|error:' || echo "$1: clang-tidy failed or took more than five minutes"
    fi
}
export -f check
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT
# Files with instructions of one set need flags of their own; their scalar twins are checked.
sources '*.c' | grep -vE '^tests/|_avx[0-9a-z]*\.c$' |
    xargs -P "$(nproc)" -I{} bash -c 'check "$1"' _ {} >"$complaints"
verdict "lint: clang-tidy" "$complaints"
