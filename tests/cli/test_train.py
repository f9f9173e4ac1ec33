"""`train`: a program as `compile` writes it, trained on what its board computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calls import Refused, Run


@pytest.mark.needs_torch
@pytest.mark.needs_qemu
def test_train_writes_a_program_that_verifies(
    run: Run, model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p"
    board = ("--board", "microbit-v1", "--weight-bits", 4)
    shown = run("train", model, *board, "--data", data, "--epochs", 2, "-o", out)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("small for BBC micro:bit v1")
    assert "lif" in shown.out, "what integers cost, layer by layer"
    checked = run("verify", out, "--data", data, "--json")
    assert (checked.code, checked.json["mismatches"]) == (0, 0)


@pytest.mark.needs_torch
def test_train_for_a_chip_as_json(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    call = ("train", model, "--board", "spinnaker2-chip", "--data", data, "--epochs", 1)
    found = run(*call, "-o", tmp_path / "p", "--json").json
    assert (found["target"], found["conversion"]["samples"]) == ("spinnaker2", 5)


def test_train_refuses_before_it_trains(
    refused: Refused, model: Path, data: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    call = ("train", model, "--data", data)
    assert refused(*call, "--board", "microbit-v1", "-o", there) == (
        "error: there: already exists (name a new output directory)"
    )
    assert "nowhere" in refused(*call, "--board", "nowhere", "-o", tmp_path / "p")
    assert "--epochs" in refused(
        *call, "--board", "microbit-v1", "--epochs", 0, "-o", tmp_path / "p", code=2
    )
