#!/bin/bash
# A copy of Redis' files, made while images are being annotated, becomes a queue that goes on from there on another folder.
. "$(dirname "$0")/../e2e/lib.sh"
files=$ROOT/tests/e2e/corpus/files
export FERRET_DATA=$WORK/data
up_start "$WORK/data" --workers 1 --root photos="$files"
campaign=$(ferret submit "$files") || die "submit"
some_done() { [ "$(campaign_field "$campaign" done)" -ge 3 ]; }
wait_for 90 some_done || die "nothing is done"
"$ROOT/deploy/backup/backup.sh" "$WORK/data/redis" "$WORK/backup" -s "$WORK/data/redis.sock" || die "backup.sh"
want "setting that the backup changes, afterwards" 100 "$(redis-cli -s "$WORK/data/redis.sock" config get auto-aof-rewrite-percentage | tail -n 1)"
"$ROOT/deploy/backup/backup.sh" "$WORK/data/redis" "$WORK/backup" -s "$WORK/data/redis.sock" 2>/dev/null
want "exit code of a backup over another one" 4 $?
kill -9 "$UP_PID"
wait "$UP_PID" 2>/dev/null
UP_PID=

# A command that was being written when the copy was made.
last=$(ls "$WORK"/backup/appendonlydir/*.incr.aof | tail -n 1)
printf '*3\r\n$4\r\nHSET\r\n$3\r\nabc' >>"$last"
"$ROOT/deploy/backup/restore.sh" "$WORK/backup" "$WORK/data/redis" 2>/dev/null
want "exit code of a restore over what is there" 4 $?
"$ROOT/deploy/backup/restore.sh" "$WORK/backup" "$WORK/other/redis" || die "restore.sh"
up_start "$WORK/other" --workers 1 --root photos="$files"
ferret admin fsck --redis "$WORK/other/redis.sock" || die "fsck finds problems in what was restored"
is_complete() { [ "$(campaign_field "$campaign" completed)" = True ]; }
wait_for 120 is_complete || die "not complete: $(ferret status "$campaign")"
want "images without a record" 0 $(($(find "$files" -type f | wc -l) - $(ferret export "$campaign" -o - | wc -l)))
up_stop
