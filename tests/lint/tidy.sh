#!/bin/bash
# clang-tidy over the product's C files. Results are kept under build/tidy by the file's and the headers' content, so
# that a second run costs only what changed.
#   CFLAGS_FOR_TIDY="..." tidy.sh
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
headers=$(sources '*.h' .clang-tidy | xargs cat .clang-tidy | sha256sum | cut -c1-16)

check() {
    local key out
    key=build/tidy/$(cat "$1" | sha256sum | cut -c1-24)-$2
    [ -f "$key" ] && return 0
    if out=$(timeout 300 clang-tidy --quiet "$1" -- $CFLAGS_FOR_TIDY 2>/dev/null); then
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
    xargs -P "$(nproc)" -I{} bash -c 'check "$1" "$2"' _ {} "$headers" >"$complaints"
verdict "lint: clang-tidy" "$complaints"
