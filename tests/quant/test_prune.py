"""Pruned weights stay away: through quantiser, compiler and program of every target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import emulate, verify_reference
from snnstack.board import all_boards
from snnstack.building import build
from snnstack.errors import ModelError
from snnstack.ir.step import Sparse
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.passes.prune import smallest_to_zero
from snnstack.samples import as_stream
from snnstack.target import target_names

SHARE = 0.8


def test_the_smallest_share_of_every_layer_goes() -> None:
    weight = np.random.default_rng(0).normal(size=(20, 30))
    kept = smallest_to_zero(weight, 0.9)
    assert np.count_nonzero(kept) == 60
    assert np.abs(kept[kept != 0]).min() > np.abs(weight[kept == 0]).max()
    assert np.array_equal(kept[kept != 0], weight[kept != 0])


def test_a_pruned_layer_is_a_list_of_synapses(examples_dir: Path) -> None:
    graph = load(examples_dir / "digits.nir", Options(prune=SHARE))
    steps, full = discretised(graph), discretised(load(examples_dir / "digits.nir"))
    for pruned, whole in zip(steps.projections, full.projections, strict=True):
        assert isinstance(pruned.synapses, Sparse)
        size = whole.synapses.weight.size
        assert pruned.synapses.weight.size == size - int(SHARE * size)


@pytest.mark.parametrize("target", ["mcu", "loihi", "spinnaker2", "crossbar"])
def test_every_compiler_keeps_what_is_not_there(examples_dir: Path, target: str) -> None:
    if target not in target_names():
        pytest.skip(f"{target} is no target yet")
    board = min((b for b in all_boards() if b.target == target), key=lambda b: b.name)
    model, data = examples_dir / "digits.nir", examples_dir / "digits_train.npz"
    pruned = build(model, board, data, Options(prune=SHARE))
    whole = build(model, board, data)
    assert pruned.network is not None
    for projection in pruned.network.projections:
        assert isinstance(projection.synapses, Sparse)

    def synops(program: Any) -> int:
        stream = as_stream(examples_dir / "digits_test.npz", program.port).first(40)
        trace = snnstack.emulate(program, stream)
        return sum(int(c.synops.sum()) for n, c in trace.counts.items() if n.startswith("lif"))

    if target != "crossbar":  # there every cell of an array is read, whatever it holds
        assert synops(pruned.program) < 0.5 * synops(whole.program)
    assert verify_reference(pruned.program, pruned.network, data, samples=2).mismatches == 0


def test_a_moderate_share_costs_little(examples_dir: Path) -> None:
    from snnstack.report.readout import accuracy, classes

    built = build(
        examples_dir / "digits.nir", "nucleo-l4r5zi", examples_dir / "digits_train.npz",
        Options(prune=0.3),
    )  # fmt: skip
    with np.load(examples_dir / "digits_test.npz") as file:
        x, y = file["x"], file["y"]
    trace = emulate(built.program, {"x": x, "y": y})
    found = accuracy(classes(trace, built.program.outputs), y)
    assert found is not None and found > 0.94


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0])
def test_shares_that_are_none(examples_dir: Path, share: float) -> None:
    with pytest.raises(ModelError) as error:
        load(examples_dir / "digits.nir", Options(prune=share))
    assert str(error.value) == (
        f"prune: {share:g} is not a share of the weights (above 0 and below 1, such as 0.9)"
    )
