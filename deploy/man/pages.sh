#!/bin/bash
# Writes the manual pages of the programs in BIN into DIR: ferret(1) and ferret-admin(1), a page each command, and the two
# daemons. They are made from what the programs say of themselves, so they are those of this build.
#   pages.sh BIN DIR DATE
set -eu -o pipefail
bin=$1 dir=$2 date=$3
here=$(dirname "$0")
mkdir -p "$dir"

page() { # FILE PROGRAM...
    local file=$dir/$1.1
    shift
    "$@" --print-flags | awk -v date="$date" -f "$here/text.awk" -f "$here/page.awk" >"$file"
}
overview() { # NAME ABOUT PROGRAM...
    local name=$1 about=$2
    shift 2
    "$@" --print-flags |
        awk -v date="$date" -v name="$name" -v about="$about" -f "$here/text.awk" -f "$here/overview.awk" >"$dir/${name// /-}.1"
}
commands() { "$@" --print-flags | sed -n 's/^command\t\([^\t]*\).*/\1/p'; }

overview ferret 'annotate images with a model that sees, in batches' "$bin/ferret"
for command in $(commands "$bin/ferret"); do
    under=$(commands "$bin/ferret" "$command")
    if [ -z "$under" ]; then
        page "ferret-$command" "$bin/ferret" "$command"
        continue
    fi
    overview "ferret $command" 'operate the queue' "$bin/ferret" "$command"
    for name in $under; do
        page "ferret-$command-$name" "$bin/ferret" "$command" "$name"
    done
done
page ferret-broker "$bin/ferret-broker"
page ferret-worker "$bin/ferret-worker"
