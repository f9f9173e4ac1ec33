"""The package starts fast and light."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "numba", "scipy", "h5py", "nir", "rich", "jinja2", "onnx", "lava")


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def loaded(code: str) -> set[str]:
    """Top-level names of all modules that are there after `code`."""
    shown = python(
        f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    )
    return set(shown.split())


@pytest.mark.parametrize("module", ["snnstack", "snnstack.cli", "snnstack.board"])
def test_imports_pull_in_nothing_heavy(module: str) -> None:
    assert loaded(f"import {module}") & set(HEAVY) == set()


def test_help_pulls_in_nothing_heavy() -> None:
    code = "import contextlib, io, snnstack.cli\n"
    code += "with contextlib.redirect_stdout(io.StringIO()):\n"
    code += "    with contextlib.suppress(SystemExit):\n"
    code += "        snnstack.cli.main(['--help'])"
    assert loaded(code) & set(HEAVY) == set()


def test_the_verbs_work_without_torch() -> None:
    verbs = "snnstack.load, snnstack.compile, snnstack.emulate, snnstack.verify, snnstack.bench"
    assert "torch" not in loaded(f"import snnstack; {verbs}")


def test_every_public_name_exists() -> None:
    import snnstack

    assert [name for name in snnstack.__all__ if not hasattr(snnstack, name)] == []


def test_an_unknown_name_is_named() -> None:
    import snnstack

    with pytest.raises(AttributeError, match=r"^module 'snnstack' has no attribute 'compil'$"):
        _ = snnstack.compil
