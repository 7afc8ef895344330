#!/bin/bash
# A test that is killed leaves its folder, and the next one removes it; not that of a test that runs.
. "$(dirname "$0")/lib.sh"
begin=". $ROOT/tests/e2e/lib.sh; echo \$WORK >$WORK"
bash -c "$begin/killed; kill -9 \$\$" 2>/dev/null
bash -c "$begin/running; sleep 60" &
running=$!
wait_for 10 test -s "$WORK/running" || die "no folder of a test that runs"
killed=$(cat "$WORK/killed")
[ -n "$killed" ] || die "no folder of a test that was killed"
bash -c ". $ROOT/tests/e2e/lib.sh"
[ ! -d "$killed" ] || die "$killed is left"
[ -d "$(cat "$WORK/running")" ] || die "the folder of a test that runs is gone"
[ -d "$WORK" ] || die "this test's own folder is gone"
pkill -P $running
wait $running
true
