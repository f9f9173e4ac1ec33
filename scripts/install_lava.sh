#!/usr/bin/env bash
# Put Intel's Lava into .venv: scripts/install_lava.sh [python]. Its tests skip without it.
# lava-nc 0.10.0 declares Python < 3.11, so pip is told not to look; what it needs and the rest
# of the project does not is listed here. Its top-level package `tests` is removed: it would
# hide the project's own.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1
python=${1:-.venv/bin/python}

installed() {
    "$python" - <<'END'
import sys
from importlib.metadata import PackageNotFoundError, version
try:
    sys.exit(version("lava-nc") != "0.10.0" or not version("asteval") or not version("networkx"))
except PackageNotFoundError:
    sys.exit(1)
END
}

if installed; then exit 0; fi
printf 'install_lava: installing lava-nc 0.10.0\n' >&2
"$python" -m pip install -qq 'asteval==0.9.33' 'networkx<=3.6'
"$python" -m pip install -qq --no-deps --ignore-requires-python 'lava-nc==0.10.0'
site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
if [ -d "$site/tests/lava" ]; then rm -rf "$site/tests"; fi
