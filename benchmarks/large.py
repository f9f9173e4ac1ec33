"""A network of 100,000 neurons and 10 million synapses: quantised, placed, emulated, priced.

Run: OPENBLAS_NUM_THREADS=1 python benchmarks/large.py [--neurons N] [--fan N] [--board NAME ...]

A ring of integrate-and-fire neurons with leak, each with `--fan` random synapses within 500
neurons to either side (recurrent, a fifth of them inhibitory), driven by 1,000 inputs. The
whole way is that of every model: the float network per step, the target's quantiser and
compiler, the emulator with counts per core, the price. "busiest core" is the largest number of
synaptic operations of a core over the mean of the cores in use.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from snnstack.board import load_board
from snnstack.building import Build, build_each
from snnstack.ir.graph import Graph
from snnstack.ir.step import Projection, Sparse, StepGraph, StepInput, lif
from snnstack.target import backend, emulator
from snnstack.trace import Spikes, Trace

INPUTS, REACH, RATE = 1000, 500, 0.05


def main(arguments: list[str] | None = None) -> None:
    """Build, emulate and price on every board; print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=100_000)
    parser.add_argument("--fan", type=int, default=99)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--board", nargs="*", default=["kapoho-point", "spinnaker2-48"])
    options = parser.parse_args(arguments)
    graph = ring(options.neurons, options.fan)
    random = np.random.default_rng(1)
    dense = (random.random((1, options.steps, INPUTS)) < RATE).astype(np.uint8)
    heads = ["board", "neurons", "synapses", "cores", "quantise and place, s", "emulate, s"]
    heads += ["spikes per neuron and step", "M synops/s", "busiest core", "energy, mJ", "peak, MB"]
    print("| " + " | ".join(heads) + " |\n" + "| --- " * len(heads) + "|")
    for board in options.board:
        print("| " + " | ".join(row(board, graph, Spikes.from_dense(dense))) + " |", flush=True)


def ring(neurons: int, fan: int) -> StepGraph:
    """The network per time step, with unit gains."""
    random = np.random.default_rng(0)
    one, zero = np.ones(neurons), np.zeros(neurons)
    cells = lif("ring", (neurons,), 0.9 * one, None, one, one, zero, zero, one, zero)
    return StepGraph(
        inputs=(StepInput("in", (INPUTS,), "binary"),),
        populations=(cells,),
        projections=(
            Projection("in", "ring", synapses(random, INPUTS, neurons, neurons // 500, 0.8)),
            Projection("ring", "ring", synapses(random, neurons, neurons, fan, 0.035), delay=1),
        ),
        outputs=("ring",),
        dt=1e-3,
        settings={"name": "ring"},
    )


def synapses(random: Any, sources: int, neurons: int, fan: int, strength: float) -> Sparse:
    """`fan` targets of every source within reach of its place on the ring."""
    span = max(2 * REACH, fan)
    away = np.argsort(random.random((sources, min(span, neurons))), axis=1)[:, :fan]
    centre = np.arange(sources)[:, None] * neurons // sources
    target = np.sort((centre + away - span // 2) % neurons, axis=1).astype(np.int32)
    weight = strength * random.random(target.size)
    weight[random.random(target.size) < 0.2] *= -1.0
    return Sparse(np.arange(sources + 1) * fan, target.ravel(), weight)


def row(board: str, graph: StepGraph, spikes: Spikes) -> Iterable[str]:
    """One line of the table."""
    start = time.perf_counter()
    (built,) = build_each(Graph({}, ()), graph, [load_board(board)])
    if not isinstance(built, Build):
        yield from (board, str(built.error), *[""] * 9)
        return
    made = time.perf_counter() - start
    program = built.program
    emulate = emulator(program.target).emulate
    emulate(program, spikes.window(0, 1))
    start = time.perf_counter()
    trace = emulate(program, spikes)
    took = time.perf_counter() - start
    counts, cores = trace.counts["ring"], per_core(trace)
    cost = backend(program.target).price(program, trace)
    size = graph.populations[0].n
    yield from (board, f"{size:,}", f"{sum(p.synapses.weight.size for p in graph.projections):,}")
    yield from (str(len(cores)), f"{made:.1f}", f"{took:.2f}")
    yield f"{trace.spikes['ring'].total / size / spikes.steps:.3f}"
    yield f"{int(counts.synops.sum()) / took / 1e6:.0f}"
    yield f"{max(cores) / (sum(cores) / len(cores)):.2f} x"
    yield f"{cost.energy.total.typical / 1e3:.3g}"
    yield f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"


def per_core(trace: Trace) -> list[int]:
    """Synaptic operations of every core (or processing element) that was counted."""
    own = [c for name, c in trace.counts.items() if name not in ("in", "ring")]
    found = [int(counts.synops.sum()) for counts in own]
    if not found or sum(found) != int(trace.counts["ring"].synops.sum()):
        raise SystemExit("the cores' synaptic operations do not add up to the network's")
    return found


if __name__ == "__main__":
    main()
