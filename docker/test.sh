#!/usr/bin/env bash
# Build the image and try it: docker/test.sh PYTHON [pytest argument ...], where PYTHON has the test dependencies.
#
# It uses the Docker that answers here (25 or later, with buildx and compose). Where none does, root on Debian gets an
# engine for the time of the test: Debian's packages in a root directory of their own, with the base image made by
# debootstrap, so that nothing has to be pulled. Both are kept in ~/.cache/barnabas-docker-test for the next time.
# shellcheck disable=SC2016
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
cache=${XDG_CACHE_HOME:-$HOME/.cache}/barnabas-docker-test
work=$(mktemp -d)
suite=trixie
base=debian:$suite-slim
engine=
build_options=()

say() { echo "docker-test: $*" >&2; }

has_docker() {
    local major
    major=$(docker version --format '{{.Server.Version}}' 2>/dev/null | cut -d. -f1) && ((major >= 25)) &&
        docker buildx version >/dev/null 2>&1 && docker compose version >/dev/null 2>&1
}

# Make directory $2 a Debian system with the packages $1, unless it is there.
make_root() {
    [[ -e $2.done ]] && return
    if ! command -v debootstrap >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null
    fi
    say "debootstrap makes $2"
    rm -rf "$2"
    mkdir -p "$cache"
    debootstrap --variant=minbase ${1:+--include="$1"} $suite "$2" >"$work/debootstrap.log" 2>&1 ||
        { tail -20 "$work/debootstrap.log" >&2; return 1; }
    # What the official slim images leave out as well.
    rm -rf "$2"/var/cache/apt/* "$2"/var/lib/apt/lists/* "$2"/usr/share/{doc,man,locale,info}/* "$2"/var/log/*
    touch "$2.done"
}

start_engine() {
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        say "needs Docker 25 or later with buildx and compose, or root on Debian"
        exit 1
    fi
    make_root "" "$cache/base"
    make_root docker.io,docker-cli,docker-buildx,docker-compose,iptables,iproute2,ca-certificates "$cache/engine"
    # A mount namespace, so that nothing stays mounted; pivot_root rather than chroot, because containers leave a chroot.
    setsid unshare --mount bash -euc '
        root=$1; work=$2; repository=$3
        mount --make-rprivate /
        mount --bind "$root" "$root"
        for directory in proc sys dev; do mount --rbind /$directory "$root/$directory"; done
        mount -t tmpfs tmpfs "$root/run"
        mkdir -p "$work/data" "$root/var/lib/docker" "$root/old" "$root$work" "$root$repository"
        mount --bind "$work/data" "$root/var/lib/docker"
        mount --bind "$work" "$root$work"
        mount --bind "$repository" "$root$repository"
        cp -L /etc/resolv.conf "$root/etc/resolv.conf"
        cd "$root"
        pivot_root . old
        umount -l /old
        exec dockerd --log-level error
    ' engine "$cache/engine" "$work" "$repository" >"$work/dockerd.log" 2>&1 &
    engine=$!
    mkdir -p "$work/bin"
    printf '#!/bin/sh\nexec nsenter --target %s --mount --wd="$PWD" /usr/bin/docker "$@"\n' $engine >"$work/bin/docker"
    chmod 755 "$work/bin/docker"
    export PATH=$work/bin:$PATH
    unset DOCKER_HOST DOCKER_CONTEXT
    cd "$repository"
    for _ in {1..60}; do
        kill -0 $engine 2>/dev/null || break
        has_docker && break
        sleep 0.5
    done
    has_docker || { say "dockerd does not start:"; tail -20 "$work/dockerd.log" >&2; exit 1; }
    tar -C "$cache/base" -c . | docker import - $base >/dev/null
    build_options+=(--network host)
}

# shellcheck disable=SC2317
stop() {
    if [[ -n $engine ]]; then
        # What dockerd leaves behind on the machine: its bridge and its rules.
        nsenter --target $engine --mount bash -c '
            for table in iptables ip6tables; do
                $table-save | grep -vi docker | sed "s/^:FORWARD DROP/:FORWARD ACCEPT/" >/run/$table
            done' || true
        exec 3<"/proc/$engine/ns/mnt"
        kill $engine 2>/dev/null || true
        wait $engine 2>/dev/null || true
        nsenter --mount=/proc/self/fd/3 bash -c '
            for table in iptables ip6tables; do $table-restore </run/$table; done
            ip link delete docker0' || true
        exec 3<&-
    fi
    rm -rf "$work"
}
trap stop EXIT

has_docker || start_engine

# pip's settings of this machine, for the build alone.
printf '[global]\n' >"$work/pip.conf"
for name in index-url extra-index-url; do
    variable=PIP_$(tr a-z- A-Z_ <<<$name)
    value=${!variable:-$("$python" -m pip config get global.$name 2>/dev/null || true)}
    [[ -z $value ]] || echo "$name = $value" >>"$work/pip.conf"
done
build_options+=(--secret "id=pip.conf,src=$work/pip.conf")
certificates=${PIP_CERT:-$("$python" -m pip config get global.cert 2>/dev/null || true)}
if [[ -e $certificates ]]; then
    cp "$certificates" "$work/ca.pem"
    build_options+=(--secret "id=ca.pem,src=$work/ca.pem")
fi

say "building"
cd "$repository"
docker build --progress=plain --build-arg BASE=$base "${build_options[@]}" -f docker/Dockerfile -t barnabas:test . \
    >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; exit 1; }

BARNABAS_IMAGE=barnabas:test "$python" -m pytest -m "slow and interop" -s tests/interop/test_docker.py "$@"
