"""A target that lives in a package of its own is as good as ours: suite, verbs, messages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.frontends.nir import write
from tests.conformance.networks import recurrent_example, wide_example

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).parent / "toychip"
MOST_LINES = 40
"""What a target may cost its author, blank lines and comments not counted."""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the plug-in was installed, as a user would, without a network."""
    base = tmp_path_factory.mktemp("plugin")
    shutil.copytree(SOURCE, base / "source", ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
        "--no-build-isolation", "--disable-pip-version-check", "--target", str(base / "site"),
        str(base / "source"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return base / "site"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with `net.nir`, `wide.nir` and `data.npz`."""
    write(recurrent_example(), tmp_path / "net.nir")
    write(wide_example(4000), tmp_path / "wide.nir")
    random = np.random.default_rng(0)
    x = (random.random((6, 15, 6)) < 0.3).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=random.integers(0, 4, 6))
    return tmp_path


def python(installed: Path, *arguments: str, cwd: Path = ROOT, seconds: int = 200) -> Any:
    paths = [str(installed), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=seconds, cwd=cwd,
        check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip


def snnstack(installed: Path, cwd: Path, *arguments: str) -> Any:
    """The parsed `--json` output of a verb."""
    code = "import sys; from snnstack.cli import main; sys.exit(main())"
    done = python(installed, "-c", code, *arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_target_is_one_page() -> None:
    text = (SOURCE / "toychip" / "__init__.py").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= MOST_LINES


def test_an_installed_target_passes_the_conformance_suite(installed: Path) -> None:
    done = python(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "toychip or toyboard",
        "tests/conformance/test_conformance.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 40, done.stdout
    assert "skipped" not in done.stdout


def test_verbs_know_an_installed_target(installed: Path, files: Path) -> None:
    targets = snnstack(installed, files, "targets")
    about = {row["name"]: row for row in targets}["toychip"]
    assert about == {
        "name": "toychip",
        "about": "Toy chip: 4-bit weights, one neuron update per clock cycle. "
        "A whole target on one page.",
        "boards": ["toyboard"],
    }
    boards = {row["name"]: row for row in snnstack(installed, files, "boards")}
    assert (boards["toyboard"]["target"], boards["toyboard"]["status"]) == ("toychip", "estimated")


def test_verbs_work_on_an_installed_target(installed: Path, files: Path) -> None:
    data = ("--data", "data.npz")
    built = snnstack(
        installed, files, "compile", "net.nir", "--board", "toyboard", "--calibrate", "data.npz",
        "-o", "program",
    )  # fmt: skip
    assert built["memory"] == {"neurons": {"used": 14, "available": 2048}}
    assert {layer["name"] for layer in built["conversion"]["layers"]} == {"n2", "n4"}
    emulated = snnstack(installed, files, "emulate", "program", *data, "-o", "trace.npz")
    assert emulated["samples"] == 6
    with np.load(files / "trace.npz") as trace:
        assert trace["n2/shape"].tolist() == [6, 15, 10]
    verified = snnstack(installed, files, "verify", "program", *data)
    assert verified["against"] == "the toy chip's simulator"
    assert verified["mismatches"] == 0
    assert verified["spikes_compared"] == 6 * 15 * 14
    assert [also["against"] for also in verified["also"]] == ["integer reference"]
    (row,) = snnstack(installed, files, "bench", "net.nir", "--board", "toyboard", *data)
    assert row["bit_exact"]
    assert row["basis"] == "updates counted"
    assert row["latency_ms"] == pytest.approx(14 * 15 / 1e6 * 1e3)
    assert row["energy_uj"]["typical"] == pytest.approx(14 * 15 * 2e-6)


def test_a_capacity_error_of_an_installed_target_is_one_line(installed: Path, files: Path) -> None:
    code = "import sys; from snnstack.cli import main; sys.exit(main())"
    done = python(
        installed, "-c", code, "compile", "wide.nir", "--board", "toyboard", "-o", "out", cwd=files
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: board toyboard: needs 4000 neurons, 2048 available (choose a larger board)\n"
    )
    assert not (files / "out").exists()
