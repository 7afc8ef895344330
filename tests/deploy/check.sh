#!/bin/bash
# The operators' files against the tools that read them: manual pages, units, Prometheus rules, names, JSON. A tool that
# is not here is a skip that names it; `check.sh MAN_DIR BIN_DIR`.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.sh
man_dir=$1 bin_dir=$2
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT
failed=0

# with TOOL NAME: true where the tool is here; else the line that says so.
with() {
    command -v "$1" >/dev/null && return 0
    if [ "${REQUIRE_ALL:-}" = 1 ]; then
        echo "FAIL $2: $1 is not here"
        failed=1
    else
        echo "SKIP $2: $1 is not here"
    fi
    return 1
}

name="deploy: every command and program has a manual page, and mandoc finds no fault"
if with mandoc "$name"; then
    {
        for page in "$man_dir"/*.1; do
            sed -nE 's/^\.Xr ([^ ]+) 1.*/\1/p' "$page" | while read -r other; do
                [ -f "$man_dir/$other.1" ] || echo "$page: there is no page $other(1)"
            done
        done
        [ -f "$man_dir/ferret-admin-fsck.1" ] || echo "$man_dir: no page of ferret admin fsck"
        # Whether a page is installed on this machine is another matter.
        mandoc -T lint "$man_dir"/*.1 | grep -v 'referenced manual not found'
    } >"$complaints"
    verdict "$name" "$complaints" || failed=1
fi

name="deploy: systemd reads the units without a complaint"
if with systemd-analyze "$name"; then
    # Programs and pages that are not installed here are no fault of a unit.
    for unit in deploy/systemd/*.service deploy/systemd/*.target; do
        systemd-analyze verify --man=no "./$unit" 2>&1 | grep -E '^(ferret|\./|deploy)' | grep -v 'is not executable'
    done >"$complaints"
    verdict "$name" "$complaints" || failed=1
fi

# An exposure from 0 to 10, times ten; the command prints the list of what is open.
MOST_EXPOSED=20
name="deploy: systemd-analyze security puts no unit over $((MOST_EXPOSED / 10)).0"
if with systemd-analyze "$name"; then
    for unit in deploy/systemd/*.service; do
        systemd-analyze security --offline=yes --threshold=$MOST_EXPOSED "./$unit" >"$complaints.all" 2>&1 || tail -n 1 "$complaints.all"
    done >"$complaints"
    rm -f "$complaints.all"
    verdict "$name" "$complaints" || failed=1
fi

name="deploy: OPERATING.md states the exposure that systemd 252 finds"
if with systemd-analyze "$name" && systemd-analyze --version | grep -q '^systemd 252 '; then
    for pair in Redis=ferret-redis broker=ferret-broker worker=ferret-worker@; do
        found=$(LC_ALL=C.UTF-8 systemd-analyze security --offline=yes "./deploy/systemd/${pair#*=}.service" 2>&1 | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\) .*/\1/p')
        grep -qE "^.*\(systemd 252\):.* ${pair%=*} ${found//./\\.}[,.]" deploy/OPERATING.md || echo "deploy/OPERATING.md: expected ${pair%=*} $found"
    done >"$complaints"
    verdict "$name" "$complaints" || failed=1
fi

name="deploy: settings and metrics in operators' files are those of the programs"
tests/deploy/names.py "$bin_dir" >"$complaints" 2>&1
verdict "$name" "$complaints" || failed=1

name="deploy: promtool finds no fault in the rules, and they fire when they should"
if with promtool "$name"; then
    {
        promtool check rules deploy/prometheus/rules.yml || echo "deploy/prometheus/rules.yml: promtool check rules"
        promtool test rules deploy/prometheus/rules_test.yml || echo "deploy/prometheus/rules_test.yml: promtool test rules"
        promtool check rules build/board_queries.yml || echo "deploy/grafana/ferretry.json: promtool check rules, its queries as rules"
    } >"$complaints.all" 2>&1
    grep -qE 'FAILED|^deploy/.*: promtool' "$complaints.all" && cp "$complaints.all" "$complaints" || : >"$complaints"
    rm -f "$complaints.all"
    verdict "$name" "$complaints" || failed=1
fi

for file in deploy/systemd/*.json deploy/grafana/*.json; do
    python3 -m json.tool "$file" >/dev/null 2>"$complaints.one" || { echo "$file:"; cat "$complaints.one"; }
    rm -f "$complaints.one"
done >"$complaints"
verdict "deploy: JSON files are JSON" "$complaints" || failed=1
exit $failed
