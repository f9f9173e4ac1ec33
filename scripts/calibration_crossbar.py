"""Crossbars against what was published of them: energy of one operation of a full array.

One dense layer fills the array, every input is active, and the emulator counts. What is compared
is the array with its drivers, converters and adders: the published figures hold no neurons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from calibration_networks import step_graph

from snnstack.backends.crossbar.price import tile_energy, tile_work
from snnstack.board import load_board, with_values
from snnstack.building import Build, build_each
from snnstack.energy.model import Band
from snnstack.ir.graph import Graph
from snnstack.ir.step import Dense
from snnstack.report.charts import short
from snnstack.target import emulator
from snnstack.trace import Spikes

ISAAC = "Shafiee et al., ISCA 2016: 30 pJ array, 200 pJ converters, 50 pJ drivers, 128 x 128"
WAN = "Wan et al., Nature 608, 2022, measured at 130 nm"
MACRO = "Nat. Mach. Intell. 5, 2023: systems with this macro"


@dataclass(frozen=True)
class Array:
    """A published figure: fJ an operation from `least` to `most`.

    `rows`, `columns`: of the weight matrix; `count`: events of every input in every step;
    `per`: what counts as an operation, a "cell" or a "weight"; `parts`: components of the
    price that the figure holds, None: all of a tile.
    """

    name: str
    board: str
    rows: int
    columns: int
    least: float
    most: float
    source: str
    assumed: str
    count: int = 1
    per: str = "cell"
    parts: tuple[str, ...] | None = None
    figures: tuple[tuple[str, int], ...] = ()


def arrays() -> Iterator[Array]:
    """What is published, with a shape that fills an array."""
    own = "accounting only: the board's coefficients come from this figure"
    slices = "31 weights in 2-bit slices and a column of offsets fill 125 of 128 columns; "
    yield Array("ISAAC, 1-bit product", "isaac", 128, 31, 17.1, 17.1, ISAAC, slices + own)
    yield Array("ISAAC, converters alone", "isaac", 128, 31, 12.2, 12.2, ISAAC, slices + own,
                parts=("converters",))  # fmt: skip
    pairs = "pairs side by side share a converter here, on the chip one above the other; "
    for out, given, count, fj in ((3, "1", 1, 23.06), (4, "2", 1, 24.6), (8, "6", 31, 108.9)):
        figures = (("hardware.adc_bits", out), ("hardware.dac_bits", max(1, count.bit_length())))
        yield Array(f"NeuRRAM, {out} bits out, {given} in", "neurram", 256, 128, fj, fj, WAN,
                    pairs + own, count=count, figures=figures)  # fmt: skip
    yield Array(
        "RRAM macro, reservoir 256-200", "rram-40nm-256kb", 256, 200, 13.5, 221.0, MACRO,
        "an operation is a weight: what the range counts is not known to us", per="weight",
    )  # fmt: skip


def femtojoules(array: Array) -> Band:
    """Predicted energy of an operation."""
    board = load_board(array.board)
    values: Mapping[str, Any] = dict(array.figures)
    board = with_values(board, values) if values else board
    weight = np.random.default_rng(0).normal(0.0, 1.0, (array.columns, array.rows))
    graph = step_graph((array.rows,), [(array.columns,)], [Dense(weight)])
    port = replace(graph.inputs[0], events="count" if array.count > 1 else "binary")
    graph = graph.with_(inputs=(port,))
    given = np.full((1, 1, array.rows), array.count, np.uint8)
    fit = {"x": given, "y": np.zeros(1, np.int64)}
    (built,) = build_each(Graph({}, ()), graph, [board], fit)
    if not isinstance(built, Build):
        raise built.error
    program = built.program
    trace = emulator(program.target).emulate(program, Spikes.from_dense(given))
    work = tile_work(program, trace)
    bands = [
        component.band
        for one in work
        for name, component in tile_energy(program, one).items()
        if array.parts is None or name in array.parts
    ]
    cells = sum(one.tile.block.rows * one.tile.block.columns for one in work)
    operations = cells if array.per == "cell" else array.rows * array.columns
    return Band(*(1e9 * sum(band[k] for band in bands) / operations for k in range(3)))


def crossbar_table() -> str:
    """Markdown: predicted against published, fJ an operation."""
    heads = "array|board|published fJ|predicted fJ|ratio|in the band|assumed|published by"
    lines = [f"| {heads.replace('|', ' | ')} |", "| --- " * 8 + "|"]
    for one in arrays():
        low, typical, high = femtojoules(one)
        ranged = one.most > one.least
        published = f"{one.least:g} to {one.most:g}" if ranged else f"{one.least:g}"
        ratio = "in the range" if one.least <= typical <= one.most else "out of the range"
        ratio = ratio if ranged else f"{typical / one.least:.2f}"
        holds = "yes" if low <= one.most and high >= one.least else "no"
        lines.append(
            f"| {one.name} | `{one.board}` | {published} | {short(typical)} ({short(low, 2)} to "
            f"{short(high, 2)}) | {ratio} | {holds} | {one.assumed} | {one.source} |"
        )
    return "\n".join(lines)
