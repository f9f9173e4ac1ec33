"""Networks of published shapes, with random weights and thresholds for a stated rate."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from snnstack.engine.steps import run_step_graph
from snnstack.ir.step import Conv, Dense, Projection, StepGraph, StepInput, Synapses, lif, size
from snnstack.trace import Spikes

KWS, LSNN, BRAILLE = (390, 256, 256, 29), (80, 240, 10), (48, 450, 28)
PILOT = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))
BISECTIONS = 12


def chain(sizes: tuple[int, ...], recurrent: bool = False) -> StepGraph:
    """Dense layers with random weights; `recurrent`: the first layer also feeds itself."""
    random = np.random.default_rng(0)
    synapses: list[Synapses] = [
        Dense(random.normal(0.02, 1.0, (n, before))) for before, n in pairwise(sizes)
    ]
    graph = step_graph((sizes[0],), [(n,) for n in sizes[1:]], synapses)
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
    return step_graph((3, 66, 200), shapes, synapses)


def step_graph(given: Any, shapes: list[Any], synapses: list[Synapses]) -> StepGraph:
    """A chain: input of shape `given`, populations of `shapes`, all thresholds 1."""
    names = [f"layer{k + 1}" for k in range(len(shapes))]
    populations = []
    for name, shape in zip(names, shapes, strict=True):
        one, zero = np.ones(size(shape)), np.zeros(size(shape))
        populations.append(
            lif(name, tuple(shape), 0.9 * one, None, one, one, zero, zero, one, zero)
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
            cells = population.with_lif(threshold=np.full(population.n, middle))
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
