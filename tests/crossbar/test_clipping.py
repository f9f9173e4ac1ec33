"""Conversions outside of a converter's range: counted by tile, warned about, an error if asked."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import nir
import numpy as np
import pytest

import snnstack
from snnstack import api
from snnstack.backends.crossbar.coding import channels
from snnstack.board import load_board, with_values
from snnstack.errors import ModelError
from snnstack.notices import LOGGER
from snnstack.report.clipping import Clipped, summary, warnings_of
from snnstack.report.flat import flat
from snnstack.report.page import page

INPUTS, NEURONS, STEPS = 60, 6, 20
OPTIONS = snnstack.Options(dt=1e-3)
QUIET = {f"hardware.{name}": False for name in ("programming", "read_noise", "stuck", "wires")}
SPREADS = ("adc_offset_lsb", "adc_gain_error", "drift_s")
EXACT: dict[str, Any] = QUIET | {f"hardware.{name}": 0.0 for name in SPREADS}


@pytest.fixture(scope="module")
def network() -> nir.NIRGraph:
    """Positive weights: what the columns carry grows with what comes in."""
    weight = np.abs(np.random.default_rng(4).normal(0, 0.1, (NEURONS, INPUTS)))
    cells = {"tau": 20e-3, "r": 20.0, "v_leak": 0.0, "v_threshold": 8.0, "v_reset": 0.0}
    nodes = {
        "input": nir.Input(input_type={"input": np.array([INPUTS])}),
        "fc": nir.Linear(weight=weight),
        "lif": nir.LIF(**{k: np.full(NEURONS, v) for k, v in cells.items()}),
        "output": nir.Output(output_type={"output": np.array([NEURONS])}),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)))


def samples(share: float) -> dict[str, Any]:
    drawn = np.random.default_rng(5).random((4, STEPS, INPUTS)) < share
    return {"x": drawn.astype(np.uint8), "y": np.zeros(4, dtype=np.int64)}


def built(network: nir.NIRGraph, share: float, **values: Any) -> Any:
    board = with_values(load_board("neurram"), {**EXACT, **values})
    return api.build(network, board, samples(share), OPTIONS).program


def clipped_of(trace: Any) -> tuple[int, int]:
    other = trace.counts["tile 0"].other
    return int(other["clipped"].sum()), int(other["conversions"].sum())


def test_clipped_conversions_are_those_that_numpy_finds(network: nir.NIRGraph) -> None:
    """Ideal cells: the sum of levels that are driven, against the codes of the converter."""
    program = built(network, 0.02)
    given, (tile,) = samples(0.3), program.tiles
    block, converter = tile.block, tile.block.converter
    found = channels(program.coding, block.scatter.shape[1])
    driven = given["x"].reshape(-1, INPUTS)[:, block.gather[0]].astype(np.int64)
    columns = driven @ block.levels.astype(np.int64)
    carried = columns[:, found.plus] - columns[:, found.minus]
    codes = np.floor((carried - converter.lowest[0]) * 256 / converter.gain[0] + 0.5)
    wanted = int(((codes < 0) | (codes > 2**converter.bits - 1)).sum())
    assert 0 < wanted < codes.size
    assert clipped_of(api.emulate(program, given, seed=0)) == (wanted, codes.size)


def test_quiet_calibration_busy_data_is_said(
    network: nir.NIRGraph, caplog: pytest.LogCaptureFixture
) -> None:
    program = built(network, 0.02)
    with caplog.at_level(logging.WARNING, LOGGER.name):
        LOGGER.addHandler(caplog.handler)
        clipped, of = clipped_of(api.emulate(program, samples(0.6), seed=0))
        LOGGER.removeHandler(caplog.handler)
    assert clipped == of == 4 * STEPS * NEURONS
    assert caplog.messages[-1] == (
        "tile 0 (input -> lif): 480 of 480 conversions clipped (100 %) (--calibrate on data "
        "as busy as this, or take a wider range: --set hardware.adc_bits=10, or 0: no loss)"
    )


def test_both_remedies_help(network: nir.NIRGraph) -> None:
    """Busy calibration data, and converters without loss: nothing much clips."""
    busy = samples(0.6)
    clipped, of = clipped_of(api.emulate(built(network, 0.6), busy, seed=0))
    assert clipped * 100 < of
    lossless = built(network, 0.02, **{"hardware.adc_bits": 0})
    trace = api.emulate(lossless, busy, seed=0)
    assert clipped_of(trace)[0] == 0
    exact = api.emulate(lossless, busy)
    np.testing.assert_array_equal(trace.spikes["lif"].dense(), exact.spikes["lif"].dense())


def test_the_exact_machine_never_clips(network: nir.NIRGraph) -> None:
    program = built(network, 0.02)
    assert clipped_of(api.emulate(program, samples(0.6)))[0] == 0
    assert api.verify(program, samples(0.6)).mismatches == 0


def test_rows_pages_and_strict_say_it(network: nir.NIRGraph) -> None:
    board = with_values(load_board("neurram"), EXACT)
    asked: dict[str, Any] = {"calibrate": samples(0.02), "options": OPTIONS, "seeds": 2}
    (row,) = api.bench(network, board, samples(0.6), **asked)
    plain = row.to_dict()
    assert (plain["clipped_conversions"], plain["clipped_share"]) == (960, 1.0)
    assert plain["clipped"][0]["where"] == "tile 0 (input -> lif)"
    assert flat(plain)["clipped_conversions"] == 960
    assert any("960 of 960 conversions clipped" in note for note in row.notes)
    assert "960 of 960 conversions clipped" in page([plain])
    with pytest.raises(ModelError, match="960 of 960 conversions clipped"):
        api.bench(network, board, samples(0.6), strict=True, **asked)


def test_the_worst_tiles_are_named_and_few_are_only_counted() -> None:
    many = [Clipped(f"tile {k}", 10 + k, 100, "remedy") for k in range(11)]
    said = warnings_of(many)
    assert [p.where for p in said[:2]] == ["tile 10", "tile 9"]
    assert str(said[-1]) == "converters: 3 more tiles clip (--json lists all tiles)"
    few = [Clipped("tile 0", 3, 10_000, "remedy")]
    assert warnings_of(few) == ()
    assert summary(few) == "3 of 10,000 conversions clipped (0.03 %)"
