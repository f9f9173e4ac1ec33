"""Predicted against measured: networks whose shape is public, priced on our boards.

Run: python scripts/calibration.py            writes docs/calibration.md and its figure
     python scripts/calibration.py --check    fails if they are not what would be written

Weights are random and thresholds such that every layer fires at a stated rate on random input:
the trained networks are not public. Everything else is the way of any model: quantiser,
compiler, emulator, price.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.backends.mcu.mlperf import ROWS, predict
from snnstack.board import load_board
from snnstack.building import Build, build_each
from snnstack.energy.model import Band
from snnstack.engine.steps import run_step_graph
from snnstack.ir.graph import Graph
from snnstack.ir.step import (
    Conv,
    Dense,
    Population,
    Projection,
    StepGraph,
    StepInput,
    Synapses,
    size,
)
from snnstack.report.charts import log_axis, short
from snnstack.target import backend, emulator
from snnstack.trace import Spikes

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FIGURE = DOCS / "calibration.md", DOCS / "figures" / "calibration.svg"
KWS, LSNN, BRAILLE = (390, 256, 256, 29), (80, 240, 10), (48, 450, 28)
PILOT = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))
BISECTIONS = 12


@dataclass(frozen=True)
class Case:
    """A measured network: what was measured of what, and what we had to assume.

    `part`: "total", "dynamic" (all but idle power) or "events" (neither idle nor running power).
    """

    name: str
    board: str
    measured_uj: float
    part: str
    graph: StepGraph
    steps: int
    rate: float
    period_s: float | None
    source: str
    assumed: str


@dataclass(frozen=True)
class Result:
    """A line of the page."""

    name: str
    board: str
    part: str
    measured_uj: float
    predicted: Band
    source: str
    assumed: str

    @property
    def holds(self) -> bool:
        """Whether the measured value lies in the band."""
        return self.predicted.low <= self.measured_uj <= self.predicted.high


def chain(sizes: tuple[int, ...], recurrent: bool = False) -> StepGraph:
    """Dense layers with random weights; `recurrent`: the first layer also feeds itself."""
    random = np.random.default_rng(0)
    synapses: list[Synapses] = [
        Dense(random.normal(0.02, 1.0, (n, before))) for before, n in pairwise(sizes)
    ]
    graph = _graph((sizes[0],), [(n,) for n in sizes[1:]], synapses)
    if not recurrent:
        return graph
    name = graph.populations[0].name
    own = Dense(random.normal(0.0, 0.3, (sizes[1], sizes[1])))
    return graph.with_(projections=(*graph.projections, Projection(name, name, own, delay=1)))


def pilotnet() -> StepGraph:
    """Five convolutions on 3 x 66 x 200 and dense layers of 1164, 100, 50, 10 and 1 neurons."""
    random = np.random.default_rng(0)
    shape, shapes, synapses = (3, 66, 200), [], list[Synapses]()
    for channels, k, s in PILOT:
        out = (channels, (shape[1] - k) // s + 1, (shape[2] - k) // s + 1)
        weight = random.normal(0.02, 1.0, (channels, shape[0], k, k))
        synapses.append(Conv(weight, shape, out, (s, s), (0, 0), (1, 1), 1))
        shapes.append(out)
        shape = out
    before = size(shape)
    for n in (100, 50, 10, 1):
        synapses.append(Dense(random.normal(0.02, 1.0, (n, before))))
        shapes.append((n,))
        before = n
    return _graph((3, 66, 200), shapes, synapses)


def _graph(given: Any, shapes: list[Any], synapses: list[Synapses]) -> StepGraph:
    names = [f"layer{k + 1}" for k in range(len(shapes))]
    populations = []
    for name, shape in zip(names, shapes, strict=True):
        one, zero = np.ones(size(shape)), np.zeros(size(shape))
        populations.append(
            Population(name, tuple(shape), 0.9 * one, None, one, one, zero, zero, one, zero)
        )
    sources = ["in", *names]
    return StepGraph(
        inputs=(StepInput("in", tuple(given), "binary"),),
        populations=tuple(populations),
        projections=tuple(
            Projection(s, t, w) for s, t, w in zip(sources, names, synapses, strict=False)
        ),
        outputs=(names[-1],),
        dt=1e-3,
        settings={"name": "net"},
    )


def firing(graph: StepGraph, spikes: Spikes, rate: float) -> StepGraph:
    """`graph` with thresholds for which each layer fires at about `rate`, from the input on."""
    for k, population in enumerate(graph.populations):
        low, high = 1e-3, 1e4
        names = {p.name for p in graph.populations[: k + 1]}
        for _ in range(BISECTIONS):
            middle = float(np.sqrt(low * high))
            cells = replace(population, threshold=np.full(population.n, middle))
            graph = graph.with_(
                populations=tuple(cells if p.name == cells.name else p for p in graph.populations)
            )
            part = graph.with_(
                populations=graph.populations[: k + 1],
                projections=tuple(p for p in graph.projections if p.target in names),
                outputs=(cells.name,),
            )
            found = run_step_graph(part, spikes).spikes[cells.name]
            low, high = (middle, high) if _rate(found) > rate else (low, middle)
    return graph


def _rate(spikes: Spikes) -> float:
    return spikes.total / (spikes.batch * spikes.steps * spikes.n)


def cases() -> Iterator[Case]:
    """Every network whose shape is known and that a target of ours can hold."""
    kws = "Blouw et al. 2019: 29 mW idle, 110 mW running, 296 inferences/s"
    for rate in (0.05, 0.2):
        yield Case(
            "keyword spotting 390-256-256-29", "loihi1", 110e3 / 296, "total", chain(KWS), 10,
            rate, 1 / 296, kws, f"10 steps, rate {rate:.0%}",
        )  # fmt: skip
    yield Case(
        "keyword spotting 390-256-256-29", "loihi1", 270.0, "dynamic", chain(KWS), 10, 0.2,
        1 / 296, kws, "10 steps, rate 20%",
    )  # fmt: skip
    yield Case(
        "sMNIST LSNN 80-240-10", "loihi1", 362.7, "total", chain(LSNN, recurrent=True), 840, 0.03,
        13.99e-3, "25.93 mW, 13.99 ms, 0.3627 mJ on Loihi 1",
        "840 steps, rate 3%; host_us and running_mw use this row",
    )  # fmt: skip
    yield Case(
        "Braille recurrent 48-450-28", "loihi1", 132.4, "dynamic", chain(BRAILLE, recurrent=True),
        256, 0.03, None, "132.4 uJ dynamic per sample on Loihi 1", "256 steps, rate 3%",
    )  # fmt: skip
    yield Case(
        "PilotNet SNN", "oheo-gulch", 1661.0, "total", pilotnet(), 16, 0.1, 1 / 408.9,
        "1.661 mJ, 408.9 frames/s on Loihi 2", "16 steps, rate 10%",
    )  # fmt: skip
    yield Case(
        "PilotNet SNN", "oheo-gulch", 1094.0, "dynamic", pilotnet(), 16, 0.1, 1 / 408.9,
        "1.094 mJ dynamic on Loihi 2", "16 steps, rate 10%",
    )  # fmt: skip
    yield Case(
        "keyword spotting 390-256-256-29", "spinnaker2-chip", 7.1, "events", chain(KWS), 10, 0.2,
        None, "7.1 uJ on the SpiNNaker 2 prototype",
        "10 steps, rate 20%; the prototype ran it on the MAC array at 8 bit, our programs do not",
    )  # fmt: skip


def run(case: Case) -> Result:
    """Build, emulate, price."""
    random = np.random.default_rng(1)
    dense = random.random((2, case.steps, *case.graph.inputs[0].shape)) < case.rate
    spikes = Spikes.from_dense(dense.astype(np.uint8))
    graph = firing(case.graph, spikes.samples(0, 1), case.rate)
    (built,) = build_each(Graph({}, ()), graph, [load_board(case.board)])
    if not isinstance(built, Build):
        raise built.error
    program = built.program
    trace = emulator(program.target).emulate(program, spikes)
    energy = backend(program.target).price(program, trace, case.period_s).energy
    left_out = {"total": (), "dynamic": ("idle", "chips")}.get(case.part)
    parts = [
        c.band
        for c in energy.components
        if (c.kind != "static" if left_out is None else c.name not in left_out)
    ]
    total = Band(*(float(sum(band[i] for band in parts)) for i in range(3)))
    return Result(
        case.name, case.board, case.part, case.measured_uj, total, case.source, case.assumed
    )  # fmt: skip


def egru() -> Result:
    """The static part of the EGRU language model on 150 elements: no program of ours is one."""
    board = load_board("spinnaker2-chip").coefficients
    chip, element = board["chip_mw"], board["element_mw"]
    bands = [getattr(chip, k) + 150 * getattr(element, k) for k in ("low", "typical", "high")]
    return Result(
        "EGRU language model 1350 x 3, 95 % pruned", "spinnaker2-chip", "total", 65_300.0,
        Band(*(170.0 * mw for mw in bands)), "Nazeer 2024: 0.39 W, 170 ms, 65.3 mJ",
        "static power of 150 elements over 170 ms alone; no events, none of our programs is a GRU",
    )  # fmt: skip


def mlperf() -> Iterator[Result]:
    """The MLPerf Tiny auto-encoder, int8, on boards with measured energy."""
    for row in ROWS:
        found = predict(row)
        yield Result(
            "MLPerf Tiny anomaly detection", row.board, "total", row.energy_uj, found.energy_uj,
            row.source, f"int8 kernels of ours; {row.role}",
        )  # fmt: skip


def page(results: list[Result]) -> str:
    """The page, after the template beside it."""
    lines = [
        f"| {r.name} | `{r.board}` | {r.part} | {short(r.measured_uj)} | "
        f"{short(r.predicted.typical)} ({short(r.predicted.low, 2)} to "
        f"{short(r.predicted.high, 2)}) | {r.predicted.typical / r.measured_uj:.2f} | "
        f"{'yes' if r.holds else 'no'} | {r.assumed} | {r.source} |"
        for r in results
    ]
    heads = "network|board|of|measured uJ|predicted uJ|ratio|in the band|assumed|measured by"
    table = [f"| {heads.replace('|', ' | ')} |", "| --- " * 9 + "|", *lines]
    template = (Path(__file__).parent / "calibration.md.in").read_text()
    return template.replace("@TABLE@", "\n".join(table))


def figure(results: list[Result]) -> str:
    """An SVG: bands as bars, predictions as dots, measurements as vertical ticks."""
    values = [v for r in results for v in (*r.predicted, r.measured_uj)]
    axis, left, width, row = log_axis(values), 300, 420, 30
    height = row * len(results) + 40

    def at(value: float) -> float:
        return left + width * axis.at(value)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {height}" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<title>Predicted and measured energy per inference in uJ</title>",
        f'<rect width="{left + width + 20}" height="{height}" fill="#fff"/>',
    ]
    for place, label in axis.ticks:
        x = left + width * place
        out.append(f'<path d="M{x:.1f} 4V{height - 34}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{height - 18}" text-anchor="middle">{label}</text>')
    for k, r in enumerate(results):
        y, (low, typical, high) = 20 + row * k, r.predicted
        out.append(f'<text x="4" y="{y + 4}">{r.name[:30]}, {r.board}</text>')
        out.append(f'<path d="M{at(low):.1f} {y}H{at(high):.1f}" stroke="#0072b2" '
                   'stroke-width="6" stroke-opacity=".45"/>')  # fmt: skip
        out.append(f'<circle cx="{at(typical):.1f}" cy="{y}" r="4.5" fill="#0072b2"/>')
        x = at(r.measured_uj)
        out.append(f'<path d="M{x:.1f} {y - 10}v20" stroke="#d55e00" stroke-width="2.5"/>')
    out.append(f'<text x="{left}" y="{height - 3}">uJ per inference; bar: predicted, lowest to '
               "highest; dot: expected; upright line: measured</text></svg>")  # fmt: skip
    return "\n".join(out) + "\n"


def everything() -> Iterable[Result]:
    """All rows in order."""
    yield from map(run, cases())
    yield egru()
    yield from mlperf()


def main(arguments: list[str] | None = None) -> int:
    """Write the page and its figure, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    results = list(everything())
    wanted = {PAGE: page(results), FIGURE: figure(results)}
    if options.check:
        stale = [str(p.name) for p, text in wanted.items() if p.read_text() != text]
        print("\n".join(f"{name} is stale: run scripts/calibration.py" for name in stale))
        return 1 if stale else 0
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
