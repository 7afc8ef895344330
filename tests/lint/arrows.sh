#!/bin/bash
# Includes between rooms follow the arrows (ARCHITECTURE.md). The table comes from the Makefile on stdin, one line a
# room: "broker: observe protocol base". Third-party headers are known to one file each.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.sh
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT

declare -A needs
rooms=()
while IFS=: read -r room list; do
    needs[$room]=" $room $list "
    rooms+=("$room")
done

is_room() { [ -n "${needs[$1]+set}" ]; }

# The room that a file belongs to: that of a unit test is the one it tests.
room_of() {
    case $1 in
    tests/unit/*) IFS=/ read -r _ _ room _ <<<"$1" ;;
    tests/*) room= ;;
    *) room=${1%%/*} ;;
    esac
    printf '%s' "$room"
}

while IFS= read -r file; do
    room=$(room_of "$file")
    is_room "${room:-none}" || continue
    while IFS=: read -r number target; do
        is_room "$target" || continue
        case ${needs[$room]} in
        *" $target "*) ;;
        *) echo "$file:$number: $room may not include from $target (it may use:${needs[$room]})" ;;
        esac
    done < <(grep -nE '^#include "[a-z_]+/' "$file" | sed -E 's|^([0-9]+):#include "([a-z_]+)/.*|\1:\2|')
done < <(sources '*.c' '*.h' '*.cc' '*.cu' '*.cuh') >"$complaints"
verdict "lint: arrows between rooms" "$complaints"
failed=$?

# library | its headers | how many files of one room may know it
: >"$complaints"
while IFS='|' read -r library pattern; do
    library=$(echo $library) pattern=$(echo $pattern)
    users=$(sources '*.c' '*.h' '*.cc' '*.cu' '*.cuh' | grep -vE '^tests/' | xargs grep -lE "^#include <($pattern)" 2>/dev/null)
    [ "$(printf '%s' "$users" | grep -c .)" -le 1 ] ||
        echo "$library is included by more than one file: $(echo $users)" >>"$complaints"
done <<'TABLE'
ZeroMQ        | zmq\.h
hiredis       | hiredis/
libvips       | vips/
libcurl       | curl/
Jansson       | jansson\.h
SentencePiece | sentencepiece
MessagePack   | msgpack
zstd          | zstd\.h
yajl          | yajl/
oneDNN        | oneapi/
cuBLAS        | cublas
TABLE
verdict "lint: one includer a third-party header" "$complaints" || failed=1
exit $failed
