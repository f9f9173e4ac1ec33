"""The command line, called as a user calls it: arguments in, exit code and both outputs out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack.cli import main
from snnstack.frontends.nir import write
from tests.cli.calls import Refused, Result, Run, small


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("boards", "--json")`: exit code, standard output, standard error."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(stop.value.code, int)
        return Result(stop.value.code, out, err)

    return call


@pytest.fixture
def refused(run: Run, tmp_path: Path) -> Refused:
    """The message on standard error of a call that must fail, the test's folder taken out."""

    def call(*arguments: object, code: int = 1) -> str:
        result = run(*arguments)
        assert (result.code, result.out) == (code, ""), result
        assert "Traceback" not in result.err
        return result.err.replace(f"{tmp_path}/", "").rstrip("\n")

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small network's file."""
    write(small(), tmp_path / "small.nir")
    return tmp_path / "small.nir"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five samples of ten steps for `model`."""
    x = np.random.default_rng(0).random((5, 10, 3)) < 0.4
    np.savez(tmp_path / "data.npz", x=x.astype(np.uint8), y=np.arange(5) % 4)
    return tmp_path / "data.npz"


@pytest.fixture
def program(model: Path, run: Run, tmp_path: Path) -> Path:
    """`model`, compiled for the micro:bit."""
    assert run("compile", model, "--board", "microbit-v1", "-o", tmp_path / "prog").code == 0
    return tmp_path / "prog"
