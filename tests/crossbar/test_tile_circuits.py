"""`verify` compares circuits of compiled tiles with ngspice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack import api
from snnstack.backends import crossbar
from snnstack.backends.crossbar import circuits
from snnstack.backends.crossbar.circuit import Circuit
from snnstack.trace import Spikes

BOARDS = {"rram-40nm-256kb": ("gated_bl", 64), "neurram": ("passive", 32)}


@pytest.fixture(scope="module", params=BOARDS)
def program(request: pytest.FixtureRequest, examples_dir: Path) -> Any:
    train = str(examples_dir / "digits_train.npz")
    return api.build(str(examples_dir / "digits.nir"), request.param, train).program


@pytest.fixture(scope="module")
def spikes(program: Any) -> Spikes:
    dense = np.random.default_rng(1).random((1, 3, program.port.n)) < 0.3
    return Spikes.from_dense(dense)


@pytest.mark.needs_ngspice
def test_circuits_of_tiles_agree_with_ngspice(program: Any, spikes: Spikes) -> None:
    topology, most = BOARDS[program.board.name]
    found = crossbar.agreements(program, spikes)
    assert len(found) == 2 and all(one.holds for one in found)
    assert all(one.against == "ngspice" and one.tolerance == 1e-9 for one in found)
    size = f"{most}x{most}, {topology}, with wires"
    assert f"currents of the first cells of tile 0 ({size})" in [one.of for one in found]
    assert list(api.verify(program, spikes).agreements) == list(found)


@pytest.mark.needs_ngspice
def test_a_circuit_that_is_solved_wrongly_is_a_mismatch(
    program: Any, spikes: Spikes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(array: Any, *, tolerance: float) -> Circuit:
        heavier = replace(array.wires, col=array.wires.col + 1e-4)
        return Circuit(replace(array, wires=heavier), tolerance=tolerance)

    monkeypatch.setattr(circuits, "Circuit", wrong)
    assert api.verify(program, spikes).mismatches == 2


def test_without_ngspice_it_is_said_that_no_circuit_was_compared(
    program: Any, spikes: Spikes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert crossbar.agreements(program, spikes) == ()
    assert crossbar.describe(program).endswith(
        "; circuits not compared: ngspice not found, install it: apt-get install ngspice"
    )
