#!/usr/bin/env bash
# Make .venv ready: scripts/setup.sh demo|test|check|docs|bench. Quick when nothing has changed.
#   demo   the package, Lava, a C cross-compiler      (no torch)
#   test   demo, and what the tests need             (torch, CPU build; ngspice)
#   check  the package, ruff, mypy, import-linter
#   docs   the package, MkDocs
#   bench  peers of the benchmarks, on top of test
# PYTHON names another interpreter. Nothing outside .venv changes, except that missing Debian
# packages are installed where apt-get is there and the user is root.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

level=${1:-}
case $level in
demo | test | check | docs | bench) ;;
*)
    say "usage: scripts/setup.sh demo|test|check|docs|bench"
    exit 2
    ;;
esac

as_root_with_apt() { have apt-get && [ "$(id -u)" = 0 ]; }
apt_is_fresh=
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "$apt_is_fresh" ]; then
        apt-get update -qq || return 1
        apt_is_fresh=yes
    fi
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# --- Python ------------------------------------------------------------------------------------

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if have "$name" && recent "$name"; then
            command -v "$name"
            return
        fi
    done
    say "no Python >= 3.11 found; install it (Debian: apt-get install python3 python3-venv)," \
        "or name one: PYTHON=/path/to/python3.11 make $level"
    exit 1
}

make_venv() {
    # .root is written last: an interrupted or moved environment is made anew.
    if [ -f .venv/.root ] && [ "$(cat .venv/.root)" = "$PWD" ] && .venv/bin/python -c '' 2>/dev/null
    then return; fi
    local python
    python=$(find_python)
    say "creating .venv with $("$python" --version)"
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        as_root_with_apt && apt_install python3-venv || true
        rm -rf .venv
        "$python" -m venv .venv || {
            say "$python cannot make a virtual environment (Debian: apt-get install python3-venv)"
            exit 1
        }
    fi
    printf '%s\n' "$PWD" >.venv/.root
}

pip_install() { .venv/bin/python -m pip install -qq -c requirements/constraints.txt "$@"; }

# The CPU build from wherever pip looks, else from PyTorch's own index, else what there is.
install_torch() {
    .venv/bin/python -c 'import torch' 2>/dev/null && return
    local version
    version=$(sed -n 's/^torch==//p' requirements/constraints.txt)
    say "installing torch $version"
    pip_install "torch==$version+cpu" 2>/dev/null ||
        pip_install "torch==$version+cpu" --retries 0 \
            --extra-index-url https://download.pytorch.org/whl/cpu 2>/dev/null ||
        pip_install "torch==$version"
}

install_packages() {
    local extras sum stamp
    sum=$(cat pyproject.toml requirements/constraints.txt scripts/setup.sh | cksum)
    stamp=.venv/.ready-$level
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then return; fi
    say "installing Python packages for 'make $level'"
    case $level in
    demo) extras='[spinnaker2]' ;;
    test) extras='[test,firmware,spinnaker2]' && install_torch ;;
    check) extras='[dev]' ;;
    docs) extras='[docs]' ;;
    bench) extras='[benchmarks]' ;;
    esac
    pip_install -e ".$extras"
    # A peer that counts operations as we do; its data loaders are not needed.
    if [ "$level" = test ]; then pip_install --no-deps neurobench==2.3.0; fi
    printf '%s' "$sum" >"$stamp"
}

# --- C cross-compilers, QEMU ---------------------------------------------------------------------

missing_tools() {
    have arm-none-eabi-gcc || echo gcc-arm-none-eabi
    have riscv64-unknown-elf-gcc || echo gcc-riscv64-unknown-elf
    have qemu-system-arm || echo qemu-system-arm
    have qemu-system-riscv32 || echo qemu-system-misc
    [ "$level" != test ] || have cmake || echo cmake
    [ "$level" != test ] || have ngspice || echo ngspice
    [ "$level" != test ] || have openocd || echo openocd
    [ "$level" != test ] || have chromium || echo chromium
}

install_tools() {
    local missing
    missing=$(missing_tools | tr '\n' ' ')
    if [ -z "$missing" ]; then return; fi
    if as_root_with_apt; then
        say "installing $missing"
        # shellcheck disable=SC2086
        apt_install $missing || say "apt-get could not install $missing"
        # Newer Debian and Ubuntu have RISC-V machines in a package of their own.
        have qemu-system-riscv32 || apt_install qemu-system-riscv >/dev/null 2>&1 || true
    fi
    if ! have arm-none-eabi-gcc || ! have riscv64-unknown-elf-gcc; then
        say "no GCC for every core: installing zig from PyPI as the cross-compiler"
        pip_install ziglang
    fi
    missing=$(missing_tools | tr '\n' ' ')
    if [ -z "$missing" ]; then return; fi
    say "not installed: $missing"
    say "    Debian, Ubuntu: sudo apt-get install $missing"
    say "    macOS:          brew install qemu cmake ngspice"
    say "without QEMU no firmware can be run and verified; GCC can be replaced by zig"
}

# Flashing tools and PlatformIO, in an environment of their own: their dependencies are not ours.
install_flash_tools() {
    local sum
    sum=$(cksum <requirements/tools.txt)
    if [ -f .venv/tools/.ready ] && [ "$(cat .venv/tools/.ready)" = "$sum" ]; then return; fi
    say "installing pyocd, esptool, PlatformIO"
    .venv/bin/python -m venv .venv/tools &&
        .venv/tools/bin/python -m pip install -qq -r requirements/tools.txt &&
        printf '%s' "$sum" >.venv/tools/.ready ||
        say "could not install them: tests that call them are skipped"
}

make_venv
install_packages
case $level in
test)
    scripts/install_lava.sh
    install_flash_tools
    ;;
demo) scripts/install_lava.sh || say "no Lava: the Loihi program is compared with the definition" ;;
esac
case $level in demo | test) install_tools ;; esac
