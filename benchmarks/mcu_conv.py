"""A convolutional network by events and with every product computed, on microcontrollers.

The N-MNIST network of the NIR paper (2x34x34, four convolutions, two dense layers, 300 steps of
1 ms, at most one event per pixel in each) on recorded digits: instructions per inference of the
program as `snnstack compile` makes it, of the same with events only, and of the same with every
route in its full form (`Route.form`). Then random input of rising rate, to see from which rate
on computing everything is cheaper. Needs the data of `SNNSTACK_DATA`.
"""

from __future__ import annotations

import argparse
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.run import run
from snnstack.board import load_board
from snnstack.building import build_steps
from snnstack.compilers.mcu import with_form
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.samples import as_data
from snnstack.trace import Spikes

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SNNSTACK_DATA") or ROOT.parent / "shared" / "data")
STEPS, SHORT = 300, 30
BOARDS = ("nucleo-l4r5zi", "nucleo-h7a3zi-q", "mps3-an547")
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)


def binned(file: Path) -> Any:
    """uint8 [300, polarity, y, x] of a recording: events of each millisecond."""
    raw = np.fromfile(file, np.uint8).reshape(-1, 5).astype(np.int64)
    step = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) // 1000
    inside = step < STEPS
    frames = np.zeros((STEPS, 2, 34, 34), np.uint8)
    place = step[inside], (raw[:, 2] >> 7)[inside], raw[inside, 1], raw[inside, 0]
    np.add.at(frames, place, 1)
    return np.minimum(frames, 1)


def instructions(program: Program, spikes: Spikes) -> Any:
    """Per sample."""
    trace = run(program, spikes)
    return np.sum([c.other["instructions"] for c in trace.counts.values()], axis=0)


def meeting(curve: list[tuple[float, float, float]]) -> str:
    """The rate at which the two columns of (rate, events, full) are equal."""
    for (low, e0, f0), (high, e1, f1) in pairwise(curve):
        if e0 <= f0 and e1 > f1:
            share = (f0 - e0) / ((f0 - e0) + (e1 - f1))
            return f"{low + share * (high - low):.1%}"
    rate, events, full = curve[-1]
    if events <= full:
        return f"never: {events / full:.0%} of it at {rate:.0%}"
    return f"below {curve[0][0]:.1%}"


def row(board: str, steps: Any, graph: Any, digits: Any) -> str:
    """One line of the table."""
    program = build_steps(graph, steps, load_board(board), digits).program
    by_events, full = (with_form(program, form) for form in ("events", "full"))
    few = digits.spikes.samples(0, 4)
    counted = [instructions(p, few).mean() for p in (program, by_events, full)]
    rng = np.random.default_rng(0)
    drawn = rng.random((1, SHORT, *program.input.shape))
    noise = Spikes.from_dense(np.concatenate([drawn < r for r in RATES]).astype(np.uint8))
    pairs = zip(*(instructions(p, noise) for p in (by_events, full)), strict=True)
    curve = [(r, float(e), float(f)) for r, (e, f) in zip(RATES, pairs, strict=True)]
    values = " | ".join(f"{n / 1e6:.1f} M" for n in counted)
    core = program.board.hardware["core"]
    return f"| {board} | {core} | {values} | {counted[2] / counted[1]:.1f} | {meeting(curve)} |"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--boards", nargs="*", default=BOARDS)
    options = parser.parse_args(arguments)
    model = DATA / "nir" / "cnn_sinabs.nir"
    if not model.is_file():
        print(f"skipped: no {model} (set SNNSTACK_DATA)", file=sys.stderr)
        return
    graph = load(model, Options(dt=1.0, reset="subtract", events="binary"))
    steps = discretised(graph)
    files = sorted((DATA / "nmnist" / "train").glob("*/*.bin"))
    chosen = [files[k] for k in np.random.default_rng(0).permutation(len(files))[:16]]
    x, y = np.stack([binned(f) for f in chosen]), [int(f.parent.name) for f in chosen]
    digits = as_data({"x": x, "y": np.array(y)}, steps.inputs[0])
    print("instructions per inference of 300 steps; the rate is that of random input\n")
    print("| board | core | compiled | by events | everything | ratio | they meet at |")
    print("| --- " * 7 + "|")
    for board in options.boards:
        print(row(board, steps, graph, digits), flush=True)


if __name__ == "__main__":
    main()
