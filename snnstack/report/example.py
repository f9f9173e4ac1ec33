"""One sample to look at: spikes of the input and every population, and some membranes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snnstack.trace import Spikes, Trace

MOST_NEURONS = 96
"""Neurons of a population that a raster shows: spread evenly over all."""
MOST_EVENTS = 3000
"""Events of a population; a busier one is cut after as many."""
MOST_MEMBRANES = 4
MOST_POINTS = 400
"""Steps of a membrane that are kept, from the first on."""


def example(trace: Trace, given: Mapping[str, Spikes], sample: int = 0) -> dict[str, Any]:
    """Rasters and membranes of one sample of `trace` (on the input's clock), ready for JSON."""
    rasters = [raster(name, spikes, sample) for name, spikes in {**given, **trace.spikes}.items()]
    states = [(name, v) for (name, kind), v in trace.states.items() if kind == "v" and v.shape[2]]
    membranes = [
        {**_membrane(trace, name, values, sample), "population": name}
        for name, values in states[-MOST_MEMBRANES:]
    ]
    return {"sample": sample, "rasters": rasters, "membranes": membranes}


def raster(name: str, spikes: Spikes, sample: int) -> dict[str, Any]:
    """{"name", "neurons", "shown", "steps", "spikes", "events": [[step, row]]}."""
    one = spikes.samples(sample, sample + 1)
    shown = _spread(one.n)
    row_of = np.full(one.n, -1)
    row_of[shown] = np.arange(len(shown))
    rows = row_of[one.indices]
    events = np.stack([one.rows(), rows], axis=1)[rows >= 0]
    return {
        "name": name,
        "neurons": one.n,
        "shown": len(shown),
        "steps": one.steps,
        "spikes": one.total,
        "events": events[:MOST_EVENTS].tolist(),
    }


def _spread(n: int) -> Any:
    return np.unique(np.linspace(0, n - 1, min(n, MOST_NEURONS)).round().astype(int))


def _membrane(trace: Trace, name: str, values: Any, sample: int) -> dict[str, Any]:
    """The neuron that fires most; of a population that does not fire, the largest."""
    v = values[sample, :MOST_POINTS]
    spikes = trace.spikes.get(name)
    if spikes is None:
        neuron, fired = int(v[-1].argmax()), list[int]()
    else:
        one = spikes.samples(sample, sample + 1)
        neuron = int(one.per_neuron()[0].argmax())
        fired = one.rows()[one.indices == neuron].tolist()
    return {"neuron": neuron, "values": v[:, neuron].tolist(), "spikes": fired}


def probes(variables: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The membranes that `example` shows."""
    return [pair for pair in variables if pair[1] == "v"][-MOST_MEMBRANES:]
