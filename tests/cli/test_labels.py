"""Labels that no output has are refused by every verb: the label, the sample, the outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snnstack
from snnstack.errors import DataError
from tests.cli.calls import Refused, Run

SAID = (
    "error: shifted.npz: y has the class 4 at sample 3, the network has 4 outputs: 0..3 "
    "(classes count from 0)"
)


@pytest.fixture
def shifted(tmp_path: Path) -> Path:
    """Classes 1 to 4, as Matlab counts, for four outputs."""
    x = np.random.default_rng(0).random((5, 10, 3)) < 0.4
    np.savez(tmp_path / "shifted.npz", x=x.astype(np.uint8), y=[1, 2, 3, 4, 1])
    return tmp_path / "shifted.npz"


def test_verbs_that_run_a_program(refused: Refused, program: Path, shifted: Path) -> None:
    for verb in ("emulate", "verify", "report"):
        more = ("-o", program.parent / "page.html") if verb == "report" else ()
        assert refused(verb, program, "--data", shifted, *more) == SAID, verb


@pytest.mark.parametrize("board", ["microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram"])
def test_verbs_that_take_a_model(
    refused: Refused, model: Path, shifted: Path, tmp_path: Path, board: str
) -> None:
    call = (model, "--board", board)
    assert refused("compile", *call, "--calibrate", shifted, "-o", tmp_path / "p") == SAID
    assert refused("bench", *call, "--data", shifted) == SAID


@pytest.mark.needs_torch
def test_train(refused: Refused, model: Path, shifted: Path, tmp_path: Path) -> None:
    call = ("train", model, "--board", "microbit-v1", "--data", shifted)
    assert refused(*call, "-o", tmp_path / "p") == SAID


def test_sweep(run: Run, model: Path, shifted: Path, tmp_path: Path) -> None:
    call = ("sweep", model, "--data", shifted, "--vary", "board=microbit-v1")
    result = run(*call, "-o", tmp_path / "r")
    assert result.code == 1
    assert SAID.removeprefix("error: shifted.npz: ") in (result.out + result.err).replace("\n", " ")


def test_python(program: Path, shifted: Path) -> None:
    made, _ = snnstack.open_program(program)
    for call in (snnstack.verify, lambda p, d: list(snnstack.emulate_batches(p, d))):
        with pytest.raises(DataError, match="y has the class 4 at sample 3"):
            call(made, shifted)  # type: ignore[operator]


def test_samples_that_are_left_out_do_not_count(run: Run, program: Path, shifted: Path) -> None:
    page = ("-o", program.parent / "page.html", "--verify-samples", 1)
    found = run("verify", program, "--data", shifted, "--samples", 3)
    assert "y has the class" not in found.err
    assert (
        "y has the class"
        not in run("report", program, "--data", shifted, "--samples", 3, *page).err
    )
