"""What the synapses of a population see over a run: second moments of the filtered input."""

from __future__ import annotations

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import Dense, Population, StepGraph
from snnstack.trace import Spikes

MOST_SLOTS = 2**15
"""(sample, step) pairs that the moments are taken from."""


def filtered_moments(
    graph: StepGraph, population: Population, sources: dict[str, Spikes]
) -> Array | None:
    """Mean of z z' over samples and steps: float64 [inputs, inputs], inputs in projection order.

    z is what all sources send, through the population's own decays: the membrane without a
    reset is W z. None unless all projections are dense and without a pool.
    """
    into = graph.into(population.name)
    if not into or not all(isinstance(p.synapses, Dense) and p.pool is None for p in into):
        return None
    if any(p.source not in sources for p in into):
        return None
    first = sources[into[0].source]
    batch = max(1, min(first.batch, MOST_SLOTS // max(first.steps, 1)))
    alpha = float(np.mean(population.alpha))
    beta = None if population.beta is None else float(np.mean(population.beta))
    columns = []
    for p in into:
        dense = sources[p.source].samples(0, batch).dense().astype(np.float64)
        x = dense.reshape(*dense.shape[:2], -1)
        late = np.zeros_like(x)
        late[:, p.delay :] = x[:, : x.shape[1] - p.delay]
        columns.append(late if beta is None else _low_pass(late, beta))
    z = _low_pass(np.concatenate(columns, axis=2), alpha).reshape(-1, sum(map(_last, columns)))
    return np.asarray(z.T @ z / len(z))


def _last(values: Array) -> int:
    return int(values.shape[-1])


def _low_pass(x: Array, factor: float) -> Array:
    out = np.empty_like(x)
    state = np.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        state = factor * state + x[:, t]
        out[:, t] = state
    return out
