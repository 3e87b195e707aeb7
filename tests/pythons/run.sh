#!/usr/bin/env bash
# usage: tests/pythons/run.sh WHEEL
# Installs the wheel and runs the README's example on every Python that is here: on the PATH, under ~/.pyenv, and as root
# on Debian those of Debian's unstable distribution, in a folder of their own. Then looks for wheels of the dependencies
# for the systems that are not here. A Python that is not here is skipped, and said to be. PYTHONS chooses versions.
set -euo pipefail
wheel=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
readme=$here/../../README.md
read -ra versions <<<"${PYTHONS:-3.11 3.12 3.13 3.14 3.15 3.14t 3.15t}"
unstable=${UNSTABLE:-${XDG_CACHE_HOME:-$HOME/.cache}/barnabas-pythons/debian}
failed=()

# Prints the path of a Python of this version that can make environments.
find_python() {
    local path
    for path in "/usr/bin/python$1" "$(command -v "python$1" || true)" "$HOME"/.pyenv/versions/"${1%t}"*/bin/"python$1"; do
        if test -x "$path" && "$path" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$path"
            return
        fi
    done
    return 1
}

# Debian's unstable distribution has Pythons that a stable one has not.
make_unstable() {
    test "$(id -u)" = 0 && command -v apt-get >/dev/null || return 1
    test -e "$unstable.done" && return
    command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null || return 1
    echo "Fetching Debian's unstable distribution into $unstable"
    mkdir -p "$unstable"
    debootstrap --variant=minbase --include=ca-certificates sid "$unstable" >/dev/null || return 1
    chroot "$unstable" apt-get update -qq -o Acquire::Check-Valid-Until=false || return 1
    touch "$unstable.done"
}

# Tries a version that is not here in the folder of Debian's unstable distribution.
try_in_unstable() {
    chroot "$unstable" apt-get install -y -qq --no-install-recommends "python$1-venv" >/dev/null 2>&1 || return 2
    mkdir -p "$unstable/try"
    cp "$wheel" "$readme" "$here/try_wheel.py" "$unstable/try"
    cp /etc/resolv.conf "$unstable/etc/resolv.conf"
    if test -n "${PIP_CERT:-}"; then mkdir -p "$unstable$(dirname "$PIP_CERT")" && cp "$PIP_CERT" "$unstable$PIP_CERT"; fi
    if test -e /etc/pip.conf; then cp /etc/pip.conf "$unstable/etc/pip.conf"; fi
    PIP_FIND_LINKS='' chroot "$unstable" "python$1" /try/try_wheel.py "/try/$(basename "$wheel")" /try/README.md
}

for version in "${versions[@]}"; do
    if python=$(find_python "$version"); then
        "$python" "$here/try_wheel.py" "$wheel" "$readme" || failed+=("$version")
    elif make_unstable; then
        status=0
        try_in_unstable "$version" || status=$?
        case $status in
            0) ;;
            2) echo "Python $version: skipped, neither here nor in Debian" ;;
            *) failed+=("$version") ;;
        esac
    else
        echo "Python $version: skipped, it is not here"
    fi
done

# Resolves the wheel and its dependencies from wheels only, for an ABI and a platform that need not be this machine's.
for abi in cp311 cp312 cp313 cp314 cp315 cp314t; do
    for machine in x86_64 aarch64; do
        for library in manylinux musllinux; do
            case $library in
                manylinux) platforms=(--platform "manylinux_2_17_$machine" --platform "manylinux_2_28_$machine") ;;
                musllinux) platforms=(--platform "musllinux_1_2_$machine") ;;
            esac
            version=${abi#cp3} version=3.${version%t}
            if python3 -m pip install -q --disable-pip-version-check --dry-run --ignore-installed --only-binary=:all: \
                --target /nowhere --implementation cp --python-version "$version" --abi "$abi" "${platforms[@]}" "$wheel"; then
                echo "$abi, $library, $machine: all dependencies have wheels"
            else
                failed+=("wheels for $abi $library $machine")
            fi
        done
    done
done

if ((${#failed[@]})); then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
fi
