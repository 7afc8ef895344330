#!/usr/bin/env bash
# A release with nothing prepared: debootstraps it into build/chroot-RELEASE, clones the committed tree into it and runs the given
# targets there (default: demo test), as a newcomer would. Needs root, debootstrap and the network's package mirror.
# usage: tests/systems/debootstrap.sh trixie [TARGET...]   (MIRROR=URL and CHROOT_DIR=FOLDER where the defaults don't do)
set -euo pipefail
release=${1:?usage: debootstrap.sh RELEASE [TARGET...]}
shift
targets=${*:-demo test}
top=$(git rev-parse --show-toplevel)
root=${CHROOT_DIR:-$top/build/chroot-$release}

[ "$(id -u)" = 0 ] || { echo "debootstrap.sh: needs root" >&2; exit 4; }
command -v debootstrap >/dev/null || { echo "debootstrap.sh: install the package debootstrap" >&2; exit 3; }

release_mounts() {
    umount "$root/dev/pts" "$root/dev/shm" "$root/dev" "$root/proc" 2>/dev/null || true
}
trap release_mounts EXIT

[ -x "$root/bin/bash" ] || debootstrap --variant=minbase "$release" "$root" ${MIRROR:+"$MIRROR"}
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Authorities that this machine trusts beyond Debian's, as behind a company's proxy: pip needs them there too.
mkdir -p "$root/usr/local/share/ca-certificates"
find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} +
mkdir -p "$root/proc" "$root/dev/pts" "$root/dev/shm"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t devpts devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"

# git and make are what a person needs to get as far as typing the two commands.
chroot "$root" bash -c 'apt-get update -q && apt-get install -qy --no-install-recommends git make ca-certificates'
rm -rf "$root/src/ferretry"
git clone -q "$top" "$root/src/ferretry"
chroot "$root" env YES=1 DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 bash -c "cd /src/ferretry && make $targets"
