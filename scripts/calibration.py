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
from pathlib import Path

import numpy as np
from calibration_crossbar import crossbar_table
from calibration_networks import BRAILLE, KWS, LSNN, chain, firing, pilotnet

from snnstack.backends.mcu.mlperf import ROWS, predict
from snnstack.board import load_board
from snnstack.building import Build, build_each
from snnstack.energy.model import Band
from snnstack.ir.graph import Graph
from snnstack.ir.step import StepGraph
from snnstack.report.charts import log_axis, short
from snnstack.target import backend, emulator
from snnstack.trace import Spikes, Trace

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FIGURE = DOCS / "calibration.md", DOCS / "figures" / "calibration.svg"


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
    macs: bool = False
    """Every weight of every step on SpiNNaker 2's MAC array, none unpacked by software."""


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
        "10 steps, rate 20%; as our programs compute it: lists of synapses in software",
    )  # fmt: skip
    yield Case(
        "keyword spotting, MAC array", "spinnaker2-chip", 7.1, "events", chain(KWS), 10, 0.2,
        None, "7.1 uJ on the SpiNNaker 2 prototype, which used its MAC array",
        "10 steps, rate 20%; every weight of every layer multiplied in every step "
        "(`synop_mac_pj`); none of our programs does that",
        macs=True,
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
    trace = on_mac_array(trace, graph, case.steps) if case.macs else trace
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


def on_mac_array(trace: Trace, graph: StepGraph, steps: int) -> Trace:
    """The same counts, but that all weights are multiplied in every step, by the MAC array.

    They are put on one element: energy is the sum over all.
    """
    every = steps * sum(p.synapses.weight.size for p in graph.projections)
    counts = dict(trace.counts)
    for name, one in trace.counts.items():
        if name.startswith("element "):
            macs = np.full_like(one.synops, every if name == "element 0" else 0)
            counts[name] = replace(one, synops=macs, other={**one.other, "macs": macs})
    return replace(trace, counts=counts)


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


def network_table(results: list[Result]) -> str:
    """Markdown: predicted against measured, uJ an inference."""
    lines = [
        f"| {r.name} | `{r.board}` | {r.part} | {short(r.measured_uj)} | "
        f"{short(r.predicted.typical)} ({short(r.predicted.low, 2)} to "
        f"{short(r.predicted.high, 2)}) | {r.predicted.typical / r.measured_uj:.2f} | "
        f"{'yes' if r.holds else 'no'} | {r.assumed} | {r.source} |"
        for r in results
    ]
    heads = "network|board|of|measured uJ|predicted uJ|ratio|in the band|assumed|measured by"
    table = [f"| {heads.replace('|', ' | ')} |", "| --- " * 9 + "|", *lines]
    return "\n".join(table)


def page(results: list[Result]) -> str:
    """The page, after the template beside it."""
    template = (Path(__file__).parent / "calibration.md.in").read_text()
    filled = template.replace("@TABLE@", network_table(results))
    return filled.replace("@CROSSBARS@", crossbar_table())


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
