#!/bin/bash
# Installs the Debian or Ubuntu packages that are missing. Says what it is about to do, asks on a terminal only (YES=1
# skips the question), needs no rights where nothing is missing. A package with a plus sign is not installed but unpacked
# into build/test/NAME: installed it would start a service on this machine.
#
#   deps.sh build   what `make` and `make demo` need
#   deps.sh eval    and `make eval`
#   deps.sh test    and `make test`
#   deps.sh full    and the optional tools of `make lint` and `make test-full`
set -u
cd "$(dirname "$0")/../.." || exit 1
level=${1:-test}

# level | how to tell that it is there | package names, tried in order, since releases differ
needs() {
    cat <<'TABLE'
build | command -v make                          | make
build | command -v gcc                           | gcc
build | command -v g++                           | g++
build | echo '#include <stdio.h>' \| gcc -E -    | libc6-dev
build | command -v pkg-config                    | pkgconf pkg-config
build | pkg-config --exists libzmq               | libzmq3-dev
build | pkg-config --exists hiredis              | libhiredis-dev
build | pkg-config --exists vips                 | libvips-dev
build | ls /usr/lib/*/libheif/plugins/libheif-libde265.so \|\| ldd /usr/lib/*/libheif.so.1 \| grep -q libde265 | libheif-plugin-libde265 libheif1
build | ls /usr/lib/*/libheif/plugins/libheif-{aomdec,dav1d}.so \| grep -q . \|\| ldd /usr/lib/*/libheif.so.1 \| grep -qE 'libaom\|libdav1d' | libheif-plugin-aomdec libheif-plugin-dav1d libheif1
build | pkg-config --exists libcurl              | libcurl4-openssl-dev libcurl4-gnutls-dev
build | pkg-config --exists expat                | libexpat1-dev
build | pkg-config --exists yajl                 | libyajl-dev
build | pkg-config --exists jansson              | libjansson-dev
build | echo '#include <sentencepiece_processor.h>' \| g++ -E -x c++ - | libsentencepiece-dev
build | pkg-config --exists libzstd              | libzstd-dev
build | pkg-config --exists zlib                 | zlib1g-dev
build | pkg-config --exists libmicrohttpd         | libmicrohttpd-dev
build | pkg-config --exists msgpack-c \|\| pkg-config --exists msgpack | libmsgpack-c-dev libmsgpack-dev
build | echo '#include <oneapi/dnnl/dnnl.h>' \| gcc -E - | libdnnl-dev
build | command -v redis-server                  | redis-server
test  | pkg-config --exists criterion            | libcriterion-dev
eval  | command -v python3                       | python3-minimal python3
eval  | /usr/bin/python3 -c 'import numpy'       | python3-numpy
eval  | /usr/bin/python3 -c 'import PIL'         | python3-pil
eval  | ls /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf | fonts-noto-color-emoji
test  | pkg-config --exists lua5.1              | liblua5.1-0-dev
test  | ls ${CUDA:-/usr/local/cuda}/include/cuda_fp16.h \|\| python3 -m pip --version | python3-pip
test  | command -v nginx \|\| test -x /usr/sbin/nginx \|\| test -x build/test/nginx/usr/sbin/nginx | +nginx
test  | command -v openssl                       | openssl
test  | /usr/bin/python3 -c 'import zmq'         | python3-zmq
test  | /usr/bin/python3 -c 'import msgpack'     | python3-msgpack
test  | command -v flock                         | util-linux
test  | command -v curl                          | curl
build | command -v pkill                         | procps
full  | command -v mandoc                        | mandoc
full  | command -v zsh                           | zsh
full  | command -v fish                          | fish
test  | command -v zstd                          | zstd
full  | python3 -m venv --help                   | python3-venv
full  | command -v chromium \|\| ! apt-cache policy chromium \| grep -q 'Candidate: [0-9]' | chromium
full  | command -v chromedriver \|\| ! apt-cache policy chromium-driver \| grep -q 'Candidate: [0-9]' | chromium-driver
full  | /usr/bin/python3 -c 'import selenium'    | python3-selenium
full  | command -v clang                         | clang
full  | command -v clang-format                  | clang-format
full  | command -v clang-tidy                    | clang-tidy
full  | command -v promtool                      | prometheus
full  | command -v chromium \|\| command -v chromium-browser | chromium chromium-browser
full  | command -v chromedriver                  | chromium-driver chromium-chromedriver
full  | /usr/bin/python3 -c 'import selenium'    | python3-selenium
TABLE
}

wanted() {
    case $1 in
    build) return 0 ;;
    eval) [ "$level" != build ] ;;
    test) [ "$level" = test ] || [ "$level" = full ] ;;
    full) [ "$level" = full ] ;;
    esac
}

missing=()
while IFS= read -r line; do
    line=${line//\\|/$'\001'}
    IFS='|' read -r tier probe names <<<"$line"
    probe=${probe//$'\001'/|}
    wanted "$(echo $tier)" || continue
    (eval "$probe") >/dev/null 2>&1 || missing+=("$(echo $names)")
done < <(needs)

if [ ${#missing[@]} -eq 0 ]; then
    echo "deps: everything is there"
    exit 0
fi

stop_with_names() {
    echo "deps: $1. These packages are missing (any name of a line will do):" >&2
    printf '  %s\n' "${missing[@]// / | }" >&2
    exit 1
}

command -v apt-get >/dev/null || stop_with_names "no apt-get here"

as_root=()
need_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || stop_with_names "installing needs root, and there is no sudo"
    [ -t 0 ] || sudo -n true 2>/dev/null || stop_with_names "installing needs root"
    as_root=(sudo)
}

known() { apt-cache show --no-all-versions "${1#+}" 2>/dev/null | grep -q '^Package:'; }

# The first name that this release has.
choose() {
    packages=() unpacked=() unknown=()
    local names name found
    for names in "${missing[@]}"; do
        found=
        for name in $names; do
            if known "$name"; then
                found=$name
                break
            fi
        done
        case $found in
        '') unknown+=("${names// / | }") ;;
        +*) unpacked+=("${found#+}") ;;
        *) packages+=("$found") ;;
        esac
    done
}

choose
if [ ${#unknown[@]} -gt 0 ]; then
    need_root
    echo "deps: reading the package lists (apt-get update)"
    "${as_root[@]}" apt-get update -qq || stop_with_names "apt-get update failed"
    choose
fi
if [ ${#unknown[@]} -gt 0 ]; then
    printf 'deps: this release has no package named %s\n' "${unknown[@]}" >&2
    exit 1
fi

[ ${#packages[@]} -eq 0 ] || need_root
[ ${#packages[@]} -eq 0 ] || echo "deps: will install with apt-get: ${packages[*]}"
[ ${#unpacked[@]} -eq 0 ] || echo "deps: will unpack into build/test, without installing: ${unpacked[*]}"
if [ "${YES:-}" != 1 ] && [ -t 0 ]; then
    read -r -p "Go on? [Y/n] " answer
    case $answer in
    '' | [Yy]*) ;;
    *)
        echo "deps: nothing installed" >&2
        exit 1
        ;;
    esac
fi
[ ${#packages[@]} -eq 0 ] ||
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" ||
    stop_with_names "apt-get install failed"

unpack() {
    local work
    mkdir -p build/test
    work=$(mktemp -d) || return 1
    [ "$(id -u)" -ne 0 ] || chown _apt "$work" # as whom it fetches
    (cd "$work" && apt-get download -qq "$1") && rm -rf "build/test/$1" && dpkg-deb -x "$work/$1"_*.deb "build/test/$1"
    local code=$?
    rm -rf "$work"
    return $code
}
for name in "${unpacked[@]}"; do
    unpack "$name" || stop_with_names "$name could not be fetched"
done
