#!/bin/bash
# A test that is killed leaves its folder, and the next one removes it; not that of a test that runs. One that is stopped
# leaves nothing: neither its folder nor what it was waiting for.
. "$(dirname "$0")/lib.sh"
begin=". $ROOT/tests/e2e/lib.sh; echo \$WORK >$WORK"
bash -c "$begin/killed; kill -9 \$\$" 2>/dev/null
bash -c "$begin/running; sleep 60; true" &
running=$!
wait_for 10 test -s "$WORK/running" || die "no folder of a test that runs"
killed=$(cat "$WORK/killed")
[ -n "$killed" ] || die "no folder of a test that was killed"
bash -c ". $ROOT/tests/e2e/lib.sh"
[ ! -d "$killed" ] || die "$killed is left"
[ -d "$(cat "$WORK/running")" ] || die "the folder of a test that runs is gone"
[ -d "$WORK" ] || die "this test's own folder is gone"
child=$(pgrep -P $running) || die "the test waits for nothing"
kill $running
wait $running
[ ! -d "$(cat "$WORK/running")" ] || die "a test that was stopped left its folder"
is_gone() { ! kill -0 "$child"; }
wait_for 10 is_gone || die "what a stopped test was waiting for goes on"
