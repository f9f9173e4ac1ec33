"""Energy against what was published: ISAAC's shares, NeuRRAM's measured operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnstack.backends.crossbar import Program, price
from snnstack.backends.crossbar.price import programming_energy
from snnstack.board import load_board, with_values
from snnstack.compilers.crossbar import compile
from snnstack.emulators.crossbar import emulate
from snnstack.ir.step import Dense, Projection, StepInput
from snnstack.quant.network import QuantizedNetwork, quantized_lif
from snnstack.trace import Spikes, Trace


def layer(rows: int, outputs: int, weight: int, count: bool) -> QuantizedNetwork:
    """One dense layer of equal weights."""
    zero = np.zeros(outputs, dtype=np.int64)
    neurons = quantized_lif(
        "y", (outputs,), zero, None, 0, zero, zero, zero + 2**20, zero, np.ones(outputs)
    )
    weights = np.full((outputs, rows), weight, dtype=np.int64)
    weights[:, ::2] *= -1
    from snnstack.backends.crossbar.numerics import NUMERICS

    port = StepInput("x", (rows,), "count" if count else "binary")
    projection = Projection("x", "y", Dense(weights))
    return QuantizedNetwork((port,), (neurons,), (projection,), ("y",), 1.0, NUMERICS)


def one_read(board: Any, rows: int, outputs: int, weight: int, most: int = 1) -> tuple[Any, Trace]:
    """The program of a full array, and one step in which every row is driven."""
    made: Program = compile(layer(rows, outputs, weight, most > 1), board)
    drive = np.full((1, 1, rows), most, dtype=np.uint8)
    return made, emulate(made, Spikes.from_dense(drive))


def test_the_converters_of_isaac_take_71_percent() -> None:
    """A product of one bit over 128x128 cells: 30 pJ array, 200 pJ converter, 50 pJ drivers."""
    made, trace = one_read(load_board("isaac"), 128, 30, 1)
    parts = {c.name: c.band for c in price(made, trace).energy.components}
    assert len(made.tiles) == 1
    assert made.tiles[0].block.columns == 125  # 30 weights, the offset and the zero column
    published = {"arrays": 30, "converters": 200, "row drivers": 50}
    for name, picojoules in published.items():
        band = parts[name]
        scale = 125 / 128 if name != "row drivers" else 1
        assert band.low <= picojoules * scale * 1e-6 <= band.high, name
    total = sum(parts[name].typical for name in published)
    assert parts["converters"].typical / total == pytest.approx(200 / 280, abs=0.05)
    macs = 128 * 125  # one a cell and bit, as the paper counts
    assert total * 1e9 / macs == pytest.approx(17.1, rel=0.15)


MEASURED = {(3, 1): 8.99 + 10.62 + 3.45, (4, 2): 24.6, (8, 6): 108.9}
"""fJ an operation of NeuRRAM at (output, input) bits, both with sign; an operation a cell."""


@pytest.mark.parametrize(("out", "into"), MEASURED)
def test_the_measured_operations_of_neurram_are_met(out: int, into: int) -> None:
    magnitude = max(1, into - 1)  # bits beside the sign
    base = with_values(
        load_board("neurram"), {"hardware.adc_bits": out, "hardware.dac_bits": magnitude}
    )
    # a converter for each of 256 columns: as many outputs as pairs of columns, read twice
    made, trace = one_read(base, 256, 128, 64, 2**magnitude - 1)
    cost = price(made, trace)
    parts = {c.name: c.band for c in cost.energy.components}
    rows, converters, arrays = (parts[k] for k in ("row drivers", "converters", "arrays"))
    phases = made.routes[0].phases
    assert made.tiles[0].block.columns == 256
    operations = 256 * 256
    measured = MEASURED[out, into] * operations * 1e-9
    ends = [
        getattr(rows, k) + 2 * getattr(converters, k) + getattr(arrays, k)
        for k in ("low", "typical", "high")
    ]
    del phases
    assert ends[0] <= measured <= ends[2]
    assert ends[1] == pytest.approx(measured, rel=0.05)


def test_the_macro_is_inside_its_measured_range() -> None:
    """13.5 to 221 fJ an operation, two for each weight of a driven row."""
    made, trace = one_read(load_board("rram-40nm-256kb"), 512, 256, 64)
    parts = {c.name: c.band for c in price(made, trace).energy.components}
    spent = sum(parts[k].typical for k in ("arrays", "row drivers", "converters"))
    assert 13.5 * 0.5 <= spent * 1e9 / (2 * 512 * 256) <= 221


def test_the_pcm_core_has_its_published_efficiency() -> None:
    """10.5 TOPS/W: 12.5 nJ for 256x256 weights."""
    made, trace = one_read(load_board("pcm-hermes"), 256, 256, 64)
    energy = price(made, trace).energy
    parts = {c.name: c.band for c in energy.components}
    names = ("arrays", "row drivers", "converters", "shift and add")
    low, high = (sum(getattr(parts[k], end) for k in names) for end in ("low", "high"))
    assert low <= 2 * 256 * 256 / 10.5e12 * 1e6 <= high


def test_programming_is_apart_and_says_what_amortises_it() -> None:
    made, trace = one_read(load_board("pcm-hermes"), 64, 32, 64)
    cost = price(made, trace)
    band = programming_energy(made)
    assert 0 < band.low < band.typical < band.high
    assert cost.counts["programming_uj"] == band.typical
    assert "programming" not in {c.name for c in cost.energy.components}
    dynamic = sum(
        c.band.typical
        for c in cost.energy.components
        if c.name in ("arrays", "row drivers", "converters", "shift and add")
    )
    text = f"the dynamic energy of {band.typical / dynamic:.3g} inferences"
    assert any(text in note for note in cost.energy.notes)


def test_converters_cost_more_with_more_bits_and_standing_power_with_time() -> None:
    spent = []
    for bits in (4, 6, 8, 10):
        base = with_values(load_board("neurram"), {"hardware.adc_bits": bits})
        made, trace = one_read(base, 64, 32, 64)
        parts = {c.name: c.band.typical for c in price(made, trace).energy.components}
        spent.append(parts["converters"])
    assert spent == sorted(spent)
    back_to_back, waiting = price(made, trace), price(made, trace, period_s=1.0)
    assert waiting.energy.static.typical > 100 * back_to_back.energy.static.typical
    assert waiting.energy.dynamic == back_to_back.energy.dynamic
