#!/bin/bash
# Copies a running Redis' append-only files: everything that was acknowledged up to now. Restored, the queue goes on from
# there (restore.sh); what was done since is done again.
#   backup.sh FOLDER_OF_REDIS TARGET [redis-cli arguments, e.g. -s /run/ferretry-redis/redis.sock]
# Reads only, but for one rewrite of the file and the setting that keeps another one away meanwhile.
set -eu -o pipefail
[ $# -ge 2 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
source=$1 target=$2
shift 2
redis() { redis-cli "$@"; }
ask() { redis "${at[@]}" "$@"; }
at=("$@")
[ "$(ask ping)" = PONG ] || { echo "backup.sh: Redis does not answer" >&2; exit 3; }
[ ! -e "$target" ] || { echo "backup.sh: $target is there already" >&2; exit 4; }

percentage=$(ask config get auto-aof-rewrite-percentage | tail -n 1)
again() { ask config set auto-aof-rewrite-percentage "$percentage" >/dev/null; }
trap again EXIT
number() { ask info persistence | tr -d '\r' | sed -n "s/^$1://p"; }
rest() {
    until [ "$(number aof_rewrite_in_progress)$(number aof_rewrite_scheduled)" = 00 ]; do sleep 0.2; done
}
# Files change places while they are rewritten, and grow while they are copied: the first is waited for and kept away, the
# second is harmless, since a command that is cut off at the end is dropped when the copy is read (aof-load-truncated).
ask config set auto-aof-rewrite-percentage 0 >/dev/null
rest
ask bgrewriteaof >/dev/null
rest
[ "$(number aof_last_bgrewrite_status)" = ok ] || { echo "backup.sh: Redis could not rewrite its file" >&2; exit 1; }

folder=$(ask config get appenddirname | tail -n 1)
mkdir -p "$target.part"
cp -a --reflink=auto "$source/$folder" "$target.part/"
sync -f "$target.part"
mv "$target.part" "$target"
echo "$target: $(du -sh "$target" | cut -f1), $(ask dbsize) keys"
