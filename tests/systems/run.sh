#!/bin/bash
# Runs the tests of whole systems, which need root, a network or minutes: tests/systems/*.sh but this file and
# debootstrap.sh, which takes a release. Exit code 0 is a pass, 77 a skip with its reason on the last line.
#   BIN=build/bin run.sh [NAME...]      e.g. run.sh systemd slurm
set -u
cd "$(dirname "$0")/../.." || exit 1
export BIN=${BIN:-$PWD/build/bin}
failed=0
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for file in tests/systems/*.sh; do
        case $(basename "$file") in
        run.sh | debootstrap.sh) continue ;;
        esac
        [ -x "$file" ] && names+=("$(basename "$file" .sh)")
    done
fi
for name in "${names[@]}"; do
    log=build/systems-$name.log
    begin=$SECONDS
    "tests/systems/$name.sh" >"$log" 2>&1
    code=$?
    grep '^measured: ' "$log"
    case $code in
    0) echo "PASS systems: $name ($((SECONDS - begin)) s)" ;;
    77)
        if [ "${REQUIRE_ALL:-}" = 1 ]; then
            echo "FAIL systems: $name: $(tail -n 1 "$log")"
            failed=1
        else
            echo "SKIP systems: $name: $(tail -n 1 "$log")"
        fi
        ;;
    *)
        tail -n 60 "$log" | sed 's/^/    /'
        echo "FAIL systems: $name (code $code, all of it in $log)"
        failed=1
        ;;
    esac
done
exit $failed
