"""Random networks whose populations send values: dense, sparse and convolutional, with delays."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.dynamics.library import MODELS
from snnstack.ir.nodes import Array
from snnstack.ir.step import (
    Conv,
    Dense,
    Pool,
    Population,
    Projection,
    Sparse,
    StepGraph,
    StepInput,
    lif,
)


def graded(name: str, shape: tuple[int, ...]) -> Population:
    """Clipped graded units, or whatever `name` says."""
    return Population(name, shape, MODELS["clipped"], {"bias": -0.1, "high": 4.0})


def spiking(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Population:
    """LIF neurons."""
    n = int(np.prod(shape))
    ones, zeros = np.ones(n), np.zeros(n)
    alpha = rng.uniform(0.5, 0.95, n)
    return lif(name, shape, alpha, None, ones, ones, zeros, zeros, ones, zeros)


def sparse(rng: np.random.Generator, sources: int, targets: int) -> Sparse:
    """Half of all synapses."""
    weight = rng.normal(0, 0.4, (sources, targets)) * (rng.random((sources, targets)) < 0.5)
    rows, columns = np.nonzero(weight)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=sources))])
    return Sparse(indptr.astype(np.int64), columns.astype(np.int32), weight[rows, columns])


def network(seed: int) -> StepGraph:
    """A map, a convolution behind a pool, two dense layers, a skip and feedback of values."""
    rng = np.random.default_rng(seed)
    conv = Conv(rng.normal(0, 0.4, (3, 2, 3, 3)), (2, 4, 4), (3, 4, 4), (1, 1), (1, 1), (1, 1), 1)
    pool = Pool((2, 8, 8), (2, 4, 4), (2, 2), (2, 2), (0, 0))
    maps = graded("maps", (3, 4, 4))
    hidden = graded("hidden", (9,))
    out = spiking("out", (5,), rng)
    back = spiking("fire", (7,), rng)
    projections = (
        Projection("in", "maps", conv, 0, pool),
        Projection("maps", "hidden", Dense(rng.normal(0, 0.3, (9, 48)))),
        Projection("hidden", "hidden", Dense(rng.normal(0, 0.1, (9, 9))), 1),
        Projection("maps", "fire", sparse(rng, 48, 7), 2),
        Projection("hidden", "out", Dense(rng.normal(0, 0.4, (5, 9)))),
        Projection("fire", "out", Dense(rng.normal(0, 0.4, (5, 7)))),
    )
    port = StepInput("in", (2, 8, 8), "count")
    return StepGraph((port,), (maps, hidden, back, out), projections, ("out",), 1e-3)


def real_input(seed: int, samples: int = 3, steps: int = 12) -> Array:
    """Real numbers, most of them 0: [sample, step, 2, 8, 8]."""
    rng = np.random.default_rng(seed)
    x: Any = rng.normal(0, 1, (samples, steps, 2, 8, 8))
    return np.asarray(x * (rng.random(x.shape) < 0.2))
