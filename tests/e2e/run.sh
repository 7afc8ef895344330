#!/bin/bash
# Runs the end-to-end tests: every tests/e2e/*.sh but this file, lib.sh and demo.sh, and every tests/e2e/*.py that is
# executable. Exit code 0 is a pass, 77 a skip with its reason on the last line.
#   BIN=build/bin run.sh [NAME...]      e.g. run.sh queue up; without names all but those in LATER
set -u
cd "$(dirname "$0")/../.." || exit 1
export BIN=${BIN:-$PWD/build/bin}
LIMIT_S=${E2E_LIMIT_S:-600}
failed=0
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for file in tests/e2e/*.sh tests/e2e/*.py; do
        case $(basename "$file") in
        run.sh | lib.sh | demo.sh | '*.py') continue ;;
        esac
        [[ " ${LATER:-} " != *" $(basename "$file") "* ]] || continue
        [ -x "$file" ] && names+=("$(basename "$file")")
    done
fi
for name in "${names[@]}"; do
    file=tests/e2e/$name
    [ -f "$file" ] || file=tests/e2e/$name.sh
    log=$(mktemp)
    begin=$SECONDS
    timeout --kill-after=20 "$LIMIT_S" "$file" >"$log" 2>&1
    code=$?
    case $code in
    0) echo "PASS e2e: $name ($((SECONDS - begin)) s)" ;;
    77)
        if [ "${REQUIRE_ALL:-}" = 1 ]; then
            echo "FAIL e2e: $name: $(tail -n 1 "$log")"
            failed=1
        else
            echo "SKIP e2e: $name: $(tail -n 1 "$log")"
        fi
        ;;
    *)
        sed 's/^/    /' "$log"
        [ $code -ne 124 ] || echo "    took more than $LIMIT_S s"
        echo "FAIL e2e: $name (code $code)"
        failed=1
        ;;
    esac
    rm -f "$log"
done
exit $failed
