"""Several inputs of a network as one door: their elements side by side, in the order of inputs.

Whoever runs a network hands it one set of events; element k of the second input stands at the
size of the first plus k. A network with one input is its own door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from snnstack.ir.nodes import Array
from snnstack.ir.step import StepInput
from snnstack.trace import Spikes


def split(spikes: Spikes, inputs: Sequence[StepInput]) -> dict[str, Spikes]:
    """What arrives at the door, by input."""
    if len(inputs) == 1:
        return {inputs[0].name: spikes}
    found, first = {}, 0
    for port in inputs:
        found[port.name] = part(spikes, first, port)
        first += port.n
    return found


def part(spikes: Spikes, first: int, port: StepInput) -> Spikes:
    """Those events of the door whose elements are `first` and the following of `port`."""
    inside = (spikes.indices >= first) & (spikes.indices < first + port.n)
    before = np.concatenate([[0], np.cumsum(inside)])
    counts = None if spikes.counts is None else spikes.counts[inside]
    return Spikes(
        shape=port.shape,
        batch=spikes.batch,
        steps=spikes.steps,
        indptr=before[spikes.indptr].astype(np.int64),
        indices=(spikes.indices[inside] - first).astype(np.int32),
        counts=counts if counts is not None and counts.max(initial=1) > 1 else None,
        values=None if spikes.values is None else spikes.values[inside],
    )


def side_by_side(arrays: Mapping[str, Array], inputs: Sequence[StepInput]) -> Array:
    """[sample, step, element] of the door from [sample, step, *shape] of every input."""
    flat = [arrays[port.name].reshape(*arrays[port.name].shape[:2], -1) for port in inputs]
    return np.concatenate(flat, axis=2)
