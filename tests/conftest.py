"""What tests need from the outside: tools and recorded data.

A test whose marker names something that is not here is skipped, and the reason says how to get
it. SNNSTACK_REQUIRE=qemu,data turns the skip into an error: CI must not pass by skipping.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".venv" / "tools" / "bin"
"""pyocd, esptool and PlatformIO, as scripts/setup.sh installs them."""
if TOOLS.is_dir():
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{TOOLS}"
DATA = Path(os.environ.get("SNNSTACK_DATA") or ROOT.parent / "shared" / "data")

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def _qemu() -> str:
    tools = ["qemu-system-arm", "qemu-system-riscv32"]
    if _zig():  # zig compiles for every core; without it both compilers must be there
        tools += ["arm-none-eabi-gcc", "riscv64-unknown-elf-gcc"]
    gone = [tool for tool in tools if not shutil.which(tool)]
    install = "apt-get install qemu-system-arm qemu-system-misc gcc-arm-none-eabi"
    return f"{', '.join(gone)} not found: {install} gcc-riscv64-unknown-elf" if gone else ""


def _zig() -> str:
    return "" if importlib.util.find_spec("ziglang") else "zig not found: pip install ziglang"


def _lava() -> str:
    install = "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
    return "" if importlib.util.find_spec("lava") else f"lava not found: {install}"


def _unicorn() -> str:
    gone = [] if importlib.util.find_spec("unicorn") else ["unicorn: pip install unicorn"]
    if not shutil.which("arm-none-eabi-gcc"):
        gone.append("arm-none-eabi-gcc: apt-get install gcc-arm-none-eabi")
    return f"not found: {', '.join(gone)}" if gone else ""


def _torch() -> str:
    names = ("torch", "snntorch", "spikingjelly")
    gone = [name for name in names if not importlib.util.find_spec(name)]
    return f"not found: pip install {' '.join(gone)}" if gone else ""


def _ngspice() -> str:
    return "" if shutil.which("ngspice") else "ngspice not found: apt-get install ngspice"


def _neurobench() -> str:
    install = "pip install --no-deps neurobench"
    return "" if importlib.util.find_spec("neurobench") else f"neurobench not found: {install}"


def _chromium() -> str:
    found = shutil.which("chromium") and importlib.util.find_spec("playwright")
    install = "apt-get install chromium; pip install playwright"
    return "" if found else f"chromium or playwright not found: {install}"


def _data() -> str:
    return "" if DATA.is_dir() else f"no data in {DATA}: set SNNSTACK_DATA to its folder"


NEEDS: dict[str, Callable[[], str]] = {
    "needs_qemu": _qemu,
    "needs_zig": _zig,
    "needs_lava": _lava,
    "needs_ngspice": _ngspice,
    "needs_torch": _torch,
    "needs_unicorn": _unicorn,
    "needs_neurobench": _neurobench,
    "needs_chromium": _chromium,
    "recordings": _data,
    "data": _data,
}
"""Marker: a function that says what is missing, "" if nothing is."""


def required() -> set[str]:
    """The markers that may not be skipped."""
    names = os.environ.get("SNNSTACK_REQUIRE", "").replace(",", " ").split()
    known = {marker.removeprefix("needs_"): marker for marker in NEEDS}
    unknown = [name for name in names if name not in known]
    if unknown:
        wanted = ", ".join(sorted(known))
        raise pytest.UsageError(f"SNNSTACK_REQUIRE: unknown {unknown}; known: {wanted}")
    return {known[name] for name in names}


def needed(name: str) -> ModuleType:
    """A framework's module; skips the tests that ask, or fails them where torch is required."""
    if "needs_torch" in required():
        return importlib.import_module(name)
    found: ModuleType = pytest.importorskip(name)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here, unless it is required: then it runs, and fails."""
    must = required()
    missing = {marker: reason() for marker, reason in NEEDS.items() if marker not in must}
    for item in items:
        for marker, reason in missing.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A required thing that is missing is named, whatever the test would have said."""
    for marker in required():
        if item.get_closest_marker(marker) and (reason := NEEDS[marker]()):
            pytest.fail(f"required by SNNSTACK_REQUIRE, but {reason}", pytrace=False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real networks and recordings; skips where it is absent."""
    reason = _data()
    if reason and required() & {"data", "recordings"}:
        pytest.fail(f"required by SNNSTACK_REQUIRE, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)
    return DATA


@pytest.fixture(scope="session")
def examples_dir() -> Path:
    """The demo network and its spikes."""
    return ROOT / "examples"
