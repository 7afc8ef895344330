#!/bin/bash
# Puts what backup.sh copied where a stopped Redis will read it.
#   restore.sh BACKUP FOLDER_OF_REDIS
# Afterwards: start Redis and brokers, then `ferret admin fsck`. Submit the last manifests again: what is there is free,
# what came after the backup is taken anew.
set -eu -o pipefail
[ $# -eq 2 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
backup=$1 target=$2
manifest=$(find "$backup" -name '*.manifest' | head -n 1)
[ -n "$manifest" ] || { echo "restore.sh: $backup holds no append-only files" >&2; exit 2; }
folder=$(basename "$(dirname "$manifest")")
[ ! -e "$target/$folder" ] || { echo "restore.sh: $target/$folder is there already; move it away, it may be the better one" >&2; exit 4; }
mkdir -p "$target"
cp -a --reflink=auto "$backup/$folder" "$target/$folder.part"
# A command that was being written when the copy was made is cut off, as Redis would do it.
redis-check-aof --fix "$target/$folder.part/$(basename "$manifest")" <<<y >&2 || { echo "restore.sh: the copy is damaged" >&2; exit 1; }
sync -f "$target"
mv "$target/$folder.part" "$target/$folder"
echo "$target/$folder: restored; start Redis, then ferret admin fsck"
