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

# library | its headers | the files that may know it
while IFS='|' read -r library pattern allowed; do
    library=$(echo $library) pattern=$(echo $pattern) allowed=$(echo $allowed)
    for user in $(sources '*.c' '*.h' '*.cc' '*.cu' '*.cuh' | grep -vE '^tests/' | xargs grep -lE "^#include <($pattern)" 2>/dev/null); do
        case " $allowed " in
        *" $user "*) ;;
        *) echo "$user includes $library, which is the business of $allowed" ;;
        esac
    done
done >"$complaints" <<'TABLE'
ZeroMQ        | zmq\.h         | protocol/link.c
hiredis       | hiredis/       | protocol/store_node.c
libvips       | vips/          | media/vips_image.h
libcurl       | curl/          | media/curl.h
libmicrohttpd | microhttpd\.h | observe/web_impl.h
expat         | expat\.h       | media/s3_page.c
Jansson       | jansson\.h     | base/json.c
SentencePiece | sentencepiece  | model/tokenizer.cc
MessagePack   | msgpack        | protocol/wire.c
zlib          | zlib\.h        | formats/read/unpack.c model/zip.c
zstd          | zstd\.h        | formats/read/unpack.c formats/write/packed.c
yajl          | yajl/          | formats/read/elements.c
oneDNN        | oneapi/        | kernels/cpu/dnnl_api.h
cuBLAS        | cublas         | kernels/cuda/gemm.cu
TABLE
verdict "lint: one includer a third-party header" "$complaints" || failed=1
exit $failed
