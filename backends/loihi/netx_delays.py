"""Delays of a netx layer: of what it sends, or of its own synapses."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.loihi.ranges import outside
from snnstack.errors import Problem
from snnstack.ir.nodes import Array
from snnstack.ir.step import Dense, Synapses


def own_delay(
    where: str, delay: Any, weight: Array, before: Array | None, problems: list[Problem]
) -> Array | None:
    """Delays of the layer's own synapses: those that have the shape of its dense weights.

    Any other `delay` is that of what the layer sends. `before`: that of the layer before it.
    """
    if delay is None or weight.ndim != 2 or np.shape(delay) != weight.shape:
        return None
    if before is not None and np.any(before):
        what = "both its synapses and what the layer before it sends have delays"
        problems.append(Problem(where, what))
    return np.asarray(delay)


def steps_of(where: str, synapses: Synapses, delay: Any, problems: list[Problem]) -> Array:
    """What `split_by_delay` takes, from the delays of what the layer before sends."""
    if delay is None or not np.size(delay):
        return np.zeros((), dtype=np.int64)
    given = np.asarray(delay)
    if given.dtype.kind not in "iuf" or not np.all(np.abs(given) < 2**31):
        problems.append(Problem(where, "its delay holds no numbers of steps"))
        return np.zeros((), dtype=np.int64)
    steps = np.floor(given.astype(np.float64)).astype(np.int64)
    problems += outside(where, "delay", steps)
    if isinstance(synapses, Dense) and steps.shape == synapses.weight.shape:
        return steps
    steps = steps.ravel()
    if len(np.unique(steps)) == 1:
        return np.asarray(steps[0])
    if not isinstance(synapses, Dense):
        return steps
    sources = synapses.weight.shape[1]
    if len(steps) != sources and sources % len(steps) == 0:  # per channel, flattened since
        steps = np.repeat(steps, sources // len(steps))
    if len(steps) != sources:
        what = f"the layer before it has {len(steps)} delays for {sources} neurons"
        problems.append(Problem(where, what))
        return np.zeros((), dtype=np.int64)
    return np.broadcast_to(steps, synapses.weight.shape)
