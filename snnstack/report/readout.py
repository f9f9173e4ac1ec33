"""From output populations to classes: most spikes, or the largest membrane summed over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from snnstack.trace import Spikes, Trace


def output_probes(outputs: Sequence[str], fires: Mapping[str, bool]) -> list[tuple[str, str]]:
    """The states that `scores` needs: membranes of outputs that do not fire."""
    return [(name, "v") for name in outputs if not fires[name]]


def aligned(trace: Trace, steps: int) -> Trace:
    """`trace` on the input's clock: each population's first `lag` steps are left out.

    Every population then has `steps` steps; a trace without lag is returned as it is.
    """
    if not trace.lag:
        return trace
    spikes = {k: s.window(trace.lag.get(k, 0), steps) for k, s in trace.spikes.items()}
    states = {}
    for (name, variable), values in trace.states.items():
        first = trace.lag.get(name, 0)
        states[name, variable] = values[:, first : first + steps]
    return Trace(spikes, states, trace.counts)


def scores(trace: Trace, output: str) -> NDArray[np.float64]:
    """[sample, neuron]: spike counts, or membranes summed over the steps."""
    if output in trace.spikes:
        return np.asarray(trace.spikes[output].per_neuron(), dtype=np.float64)
    summed = np.sum(trace.states[output, "v"], axis=1, dtype=np.float64)
    return np.asarray(summed, dtype=np.float64)


def classes(trace: Trace, outputs: Sequence[str]) -> NDArray[np.int64]:
    """[sample]: the best-scoring neuron of the first output, the first of equals."""
    return np.asarray(scores(trace, outputs[0]).argmax(axis=1), dtype=np.int64)


def accuracy(found: NDArray[np.int64], labels: NDArray[np.int64] | None) -> float | None:
    """Share of samples whose class is the label; None without labels."""
    return None if labels is None else float(np.mean(found == labels))


def spike_agreement(left: Trace, right: Trace, names: Iterable[str]) -> float:
    """Share of (sample, step, neuron) slots of the firing populations that are equal."""
    slots, different = differing_slots(left, right, names)
    return 1.0 - different / slots if slots else 1.0


def differing_slots(left: Trace, right: Trace, names: Iterable[str]) -> tuple[int, int]:
    """(Slots, slots that differ) of the populations in `names` that fire in both."""
    slots = different = 0
    for name in names:
        if name in left.spikes and name in right.spikes:
            a, b = left.spikes[name], right.spikes[name]
            slots += a.batch * a.steps * a.n
            different += differing(_keys(a), _keys(b))
    return slots, different


def differing(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Number of elements in exactly one of two sets of event keys."""
    return len(np.setxor1d(left, right, assume_unique=True))


def _keys(spikes: Spikes) -> NDArray[np.int64]:
    return np.asarray(spikes.rows() * spikes.n + spikes.indices)
