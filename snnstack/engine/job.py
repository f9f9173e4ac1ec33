"""What a run is given, once it is checked: the flat plan, its groups, inputs, probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.trace import traced
from snnstack.engine.check import plan_problems
from snnstack.engine.components import components
from snnstack.engine.flat import Flat, Update, flatten, narrow_type
from snnstack.engine.plan import LayerPlan, NetworkPlan
from snnstack.engine.updates import updates_of
from snnstack.errors import ModelError, fail, raise_if_any
from snnstack.trace import Spikes

Probes = Sequence[tuple[str, str]]

Prepared = tuple[Flat, list[Update], list[NDArray[np.int64]]]

_KEPT: WeakKeyDictionary[NetworkPlan, dict[frozenset[str], Prepared]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Job:
    """One run. `inputs`: one event a spike."""

    plan: NetworkPlan
    flat: Flat
    updates: list[Update]
    groups: list[NDArray[np.int64]]
    inputs: list[Spikes]
    probes: Probes

    @cached_property
    def narrow(self) -> Any:
        """Number type of narrow sums."""
        return narrow_type(self.plan)

    @cached_property
    def graded(self) -> int:
        """1 where events of any source carry values, else 0."""
        sources = range(len(self.plan.source_sizes()))
        return int(any(self.plan.carries_values(k) for k in sources))

    @property
    def value(self) -> Any:
        """Number type of what events carry."""
        return np.dtype(np.float64 if self.plan.real else np.int32)

    @property
    def shape(self) -> tuple[int, int]:
        """(batch, steps)."""
        return (self.inputs[0].batch, self.inputs[0].steps) if self.inputs else (0, 0)


def variables(layer: LayerPlan) -> tuple[str, ...]:
    """What can be recorded of a layer: the states of its model that it has."""
    return tuple(traced(layer.neurons).of("state"))


def prepared(plan: NetworkPlan, probes: Probes) -> Prepared:
    """What a checked plan becomes, kept for as long as the plan lives.

    ModelError for a plan that is not one, and for a probe of a state that is not there.
    """
    found = _KEPT.get(plan)
    if found is None:
        raise_if_any(ModelError, plan_problems(plan))
        found = _KEPT[plan] = {}
    _check_probes(plan, probes)
    probed = frozenset(name for name, _ in probes)
    if probed not in found:
        updates = updates_of(plan, probed)
        found[probed] = flatten(plan, updates), updates, _groups(plan)
    return found[probed]


def _check_probes(plan: NetworkPlan, probes: Probes) -> None:
    layers = {layer.name: layer for layer in plan.layers}
    for name, variable in probes:
        if name not in layers or variable not in variables(layers[name]):
            known = ", ".join(variables(layers[name])) if name in layers else ""
            hint = f"it has: {known}" if known else f"layers are: {', '.join(layers)}"
            raise fail(ModelError, name, f"has no state {variable!r} to record", hint)


def _groups(plan: NetworkPlan) -> list[NDArray[np.int64]]:
    """Layers that step together, as the kernels want them."""
    first = len(plan.inputs)
    edges = [
        (edge.source - first, k)
        for k, layer in enumerate(plan.layers)
        for edge in layer.edges
        if edge.source >= first
    ]
    found = components(len(plan.layers), edges)
    return [np.array(group, dtype=np.int64) for group in found]


def expanded(spikes: Spikes) -> Spikes:
    """One event per spike."""
    if spikes.counts is None:
        return spikes
    ends = np.concatenate([[0], np.cumsum(spikes.counts, dtype=np.int64)])
    indices = np.repeat(spikes.indices, spikes.counts)
    return Spikes(spikes.shape, spikes.batch, spikes.steps, ends[spikes.indptr], indices)
