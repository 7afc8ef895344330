#!/bin/bash
# Checkpoints of the published sizes as sparse files: opened, checked and inspected; with `convert`, 7B converted; with
# `convert-13b`, 13B; with `load`, 7B packed in int8 by an engine that answers about an image (its weights are zeros).
#   MIB=128 BIN=build/bin PROGRAMS=build/test/parity real_shapes.sh [convert|convert-13b|load]
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

step() {
    local name=$1
    shift
    if out=$("$@" 2>&1); then
        printf '%s\n' "$out" | sed 's/^/  /'
        echo "PASS $name"
    else
        printf '%s\n' "$out"
        echo "FAIL $name"
        failed=1
    fi
}

# The delta in DIR over its base, as `ferret` flags.
flags() { echo "--base $1/base --vision-tower $1/clip"; }

# inspect DIR LAYERS
inspect() {
    "$PROGRAMS/real_shapes" "$MIB" run "$BIN/ferret" inspect "$1/ferret" $(flags "$1") --json >"$dir/inspected" || return 1
    for fact in '"delta": true' "\"layers\": $2" '"grid": 24' '"vocab": 32001'; do
        grep -q "$fact" "$dir/inspected" || { echo "inspect does not say $fact"; return 1; }
    done
}

# The engine needs a tokenizer with no more pieces than the published one has ids: the shipped model's is smaller, and
# `<region_fea>` stands behind it.
load() {
    cp model/pretrained/tokenizer.model "$dir/7b/ferret/" &&
        "$PROGRAMS/real_shapes" "$LOAD_MIB" run "$BIN/ferret" annotate tests/e2e/corpus/files/tiny.png --model "$dir/7b/ferret" \
            $(flags "$dir/7b") --dtype int8 --memory 9GiB --max-tokens 2 -o - >"$dir/records" &&
        grep -q '"status":"ok"' "$dir/records"
}

if [ "${1:-}" = load ]; then
    LOAD_MIB=${LOAD_MIB:-10240}
    "$PROGRAMS/sparse_checkpoint" 7b pytorch "$dir/7b" || exit 1
    step "real shapes: a 7B delta loaded in int8 and asked, within $LOAD_MIB MiB" load
    exit $failed
fi
if [ "${1:-}" = convert-13b ]; then
    "$PROGRAMS/sparse_checkpoint" 13b safetensors "$dir/in" || exit 1
    step "real shapes: a 13B delta converted to int8 within $MIB MiB" \
        "$PROGRAMS/real_shapes" "$MIB" "$dir/in" "$dir/out" int8
    exit $failed
fi
if [ "${1:-}" = convert ]; then
    free_gb=$(df -Pk "$dir" | awk 'NR == 2 { print int($4 / 1000000) }')
    if [ "$free_gb" -lt 60 ]; then
        [ "${REQUIRE_ALL:-}" = 1 ] && { echo "FAIL real shapes: convert (needs 60 GB of disk, $free_gb are free)"; exit 1; }
        echo "SKIP real shapes: convert (needs 60 GB of disk, $free_gb are free)"
        exit 0
    fi
    "$PROGRAMS/sparse_checkpoint" 7b pytorch "$dir/in" || exit 1
    for dtype in f16 int8; do
        step "real shapes: a 7B delta converted to $dtype within $MIB MiB" \
            "$PROGRAMS/real_shapes" "$MIB" "$dir/in" "$dir/out-$dtype" "$dtype"
        rm -rf "$dir/out-$dtype"
    done
    exit $failed
fi

for shape in '7b pytorch 32' '13b safetensors 40'; do
    read -r size container layers <<<"$shape"
    "$PROGRAMS/sparse_checkpoint" "$size" "$container" "$dir/$size" || exit 1
    step "real shapes: $size, $container, opened within $MIB MiB" "$PROGRAMS/real_shapes" "$MIB" "$dir/$size"
    step "real shapes: $size, $container, a delta over its base, inspected within $MIB MiB" inspect "$dir/$size" "$layers"
done
exit $failed
