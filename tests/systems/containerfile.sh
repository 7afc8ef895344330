#!/bin/bash
# The steps of Containerfile.cpu in a debootstrapped Debian 12, and what came out at work: user 10001 on a read-only root
# annotates the sample images, and nothing that builds programs is in it. Needs root, debootstrap, Debian's mirror, minutes.
set -u
cd "$(dirname "$0")/../.." || exit 1
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
command -v debootstrap >/dev/null || { echo "needs debootstrap"; exit 77; }
base=$PWD/build/chroot-container-base
work=$(mktemp -d /tmp/ferret-containerfile.XXXXXX)
finish() {
    local code=$?
    findmnt -rno TARGET | grep "^$work" | sort -r | xargs -r umount
    rm -rf "$work"
    exit $code
}
trap finish EXIT
die() { echo "not as it should be: $*"; exit 1; }

if [ ! -x "$base/bin/bash" ]; then
    debootstrap --variant=minbase bookworm "$base.part" ${MIRROR:+"$MIRROR"} >/dev/null || { echo "debootstrap failed"; exit 77; }
    rm -rf "$base" && mv "$base.part" "$base"
fi
tests/systems/containerfile.py deploy/container/Containerfile.cpu "$base" "$work" || die "a step failed"

final=$work/final
for tool in gcc make git python3; do
    [ ! -e "$final/usr/bin/$tool" ] || die "$tool is in the image"
done
echo "measured: the image adds $(du -sm "$final" | cut -f1) MiB less $(du -sm "$base" | cut -f1) MiB of its base"
mkdir -p "$final/photos" && cp tests/e2e/corpus/files/* "$final/photos/"
mount --bind "$final" "$final" && mount -o remount,bind,ro "$final" || die "read-only"
mount -t proc proc "$final/proc" && mount --bind /dev "$final/dev" && mount -t tmpfs tmpfs "$final/tmp" || die "mounts"
as_user() { chroot --userspec=10001:10001 "$final" env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"; }
as_user sh -c 'echo x >/data/x' 2>/dev/null && die "the root can be written"
as_user ferret annotate /photos -o - >"$work/records.jsonl" 2>"$work/log"
code=$?
[ $code -eq 1 ] || die "ferret annotate ends with $code, not 1 (one file of the corpus is broken): $(tail -n 3 "$work/log")"
[ "$(wc -l <"$work/records.jsonl")" = "$(ls tests/e2e/corpus/files | wc -l)" ] || die "records: $(wc -l <"$work/records.jsonl")"
[ "$(grep -c '"status":"ok"' "$work/records.jsonl")" -ge 20 ] || die "images that are well: $(grep -c '"status":"ok"' "$work/records.jsonl")"
as_user ferret-broker --help >/dev/null && as_user ferret-worker --help >/dev/null || die "broker and worker do not start"
