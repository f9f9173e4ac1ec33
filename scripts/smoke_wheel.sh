#!/usr/bin/env bash
# Build the wheel, install it alone in a clean environment, and use it from another directory.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Outside the tree: setuptools leaves build/ and egg-info beside the sources.
mkdir "$work/source"
tar -cf - --exclude=.venv --exclude=.git --exclude=build . | tar -xf - -C "$work/source"
.venv/bin/python -m build --wheel --outdir "$work/dist" "$work/source" >"$work/build.log" 2>&1 || {
    tail -n 40 "$work/build.log" >&2
    exit 1
}
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    -c requirements/constraints.txt "$work"/dist/*.whl

cd "$work"
PATH=$work/venv/bin:$PATH
snnstack --version
snnstack --help >/dev/null
snnstack targets >/dev/null
snnstack boards >/dev/null
snnstack info "$root/examples/digits.nir" >/dev/null
snnstack compile "$root/examples/digits.nir" --board nucleo-l4r5zi \
    --calibrate "$root/examples/digits_train.npz" -o "$work/program" >/dev/null
python - "$root" <<'PYTHON'
import importlib.util
import sys

import snnstack

assert not snnstack.__file__.startswith(sys.argv[1]), snnstack.__file__
for name in ("torch", "snntorch", "lava", "backends", "compilers", "emulators", "boards"):
    assert importlib.util.find_spec(name) is None, f"{name} is installed beside the wheel"
PYTHON
echo "wheel: installed alone, it lists, reads and compiles"
