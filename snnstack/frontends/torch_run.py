"""The framework's own run of a sample, with what every neuron sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.torch_door import as_sample
from snnstack.frontends.torch_input import Axes
from snnstack.frontends.torch_load import (
    Forward,
    Traced,
    at_rest,
    clear,
    fresh,
    names_of,
    run,
)
from snnstack.frontends.torch_neurons import kind_of
from snnstack.frontends.torch_values import tensors
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Array

UNPADDED = "give a sample without padded steps; chips run all steps of every sample"


@dataclass
class Monitor:
    """What every neuron sent: {name: arrays of one step, or of all steps at once}."""

    names: Mapping[int, str]
    spikes: dict[str, list[Any]]
    membranes: dict[str, list[Any]]
    inside: bool = False


@dataclass(frozen=True)
class Run:
    """{neuron: [sample, step, n]}. `membranes`: of the first samples, where there are any."""

    spikes: Mapping[str, Array]
    membranes: Mapping[str, Array]


def run_module(
    module: Any,
    sample: Any,
    traced: Traced,
    forward: Forward | None = None,
    *,
    double: bool = False,
    membranes: int = 0,
) -> Run:
    """The framework's own run: every neuron's spikes, and results that do not fire.

    `membranes`: of how many samples they are kept, where neurons do a step at a time. The value
    of a spike, `graded_spikes_factor`, is taken out.
    """
    import torch
    from torch import nn

    sample = as_sample(module, sample)
    sample = sample.double() if double else sample
    module = fresh(module)
    names = names_of(module)
    monitor = Monitor(names, {}, {})
    plain = nn.Module.__call__

    def call(inner: Any, *args: Any, **kwargs: Any) -> Any:
        found = None if monitor.inside else kind_of(inner)
        if found is None:
            return plain(inner, *args, **kwargs)
        monitor.inside = True
        try:
            seen = membranes_of(inner, plain, args) if found.silent(inner) else None
            out = plain(inner, *args, **kwargs)
        finally:
            monitor.inside = False
        name = names.get(id(inner), type(inner).__name__)
        listed = list(tensors(out)) if seen is None else [seen]
        kept = listed[-1] if name in _silent(traced.graph) else listed[0]
        monitor.spikes.setdefault(name, []).append(kept.detach().cpu().numpy().copy())
        state = found.membrane(inner) if membranes and not traced.axes.sequence else None
        if isinstance(state, torch.Tensor):
            first = state if traced.axes.batch is None else state[:membranes]
            monitor.membranes.setdefault(name, []).append(first.detach().cpu().numpy().copy())
        return out

    with at_rest(module), torch.no_grad():
        nn.Module.__call__ = call
        try:
            run(module, sample, traced.by_step, forward, len(sample))
        finally:
            nn.Module.__call__ = plain
    clear(module)
    kept = (monitor.spikes, monitor.membranes)
    _unmasked(monitor.spikes, traced)
    return Run(*({n: _stacked(parts, traced.axes) for n, parts in k.items()} for k in kept))


def membranes_of(module: Any, run: Any, args: Any) -> Any:
    """[step, sample, ...]: of a neuron that never fires, before `decode` makes one of them."""
    import torch

    decode = module.decode
    module.decode = None
    try:
        return torch.stack(list(run(module, *args)))
    finally:
        module.decode = decode


def _unmasked(spikes: Mapping[str, list[Array]], traced: Traced) -> None:
    """ModelError where a neuron ran on some samples or steps only, such as those not padded."""
    for name, parts in spikes.items():
        ran = {part.shape for part in parts}
        steps = len(parts) if len(parts) > 1 or not traced.axes.sequence else traced.x.shape[1]
        if len(ran) > 1 or steps < traced.x.shape[1]:
            sizes = f"{len(parts)} of {traced.x.shape[1]} steps" if len(ran) == 1 else "a part only"
            what = f"ran on {sizes} of the sample: forward leaves out some steps or samples"
            raise fail(ModelError, name, what, UNPADDED)


def _silent(graph: Graph) -> set[str]:
    return {n for n, node in graph.nodes.items() if type(node).__name__ in ("LI", "CubaLI", "I")}


def _stacked(parts: list[Array], axes: Axes) -> Array:
    """[sample, step, n] from arrays of one step each, or of all steps."""
    found = parts[0] if axes.sequence and len(parts) == 1 else np.stack(parts)
    if axes.batch is None:
        found = found[:, None]
    found = np.moveaxis(found, 0, 1)
    return found.reshape(*found.shape[:2], -1)


def returned(module: Any, sample: Any, traced: Traced, forward: Forward | None) -> Array | None:
    """What a module with the loop returns of a sample; None unless it is one tensor of a batch."""
    import torch

    if traced.by_step or traced.axes.batch is None:
        return None
    twin = fresh(module)
    with at_rest(twin), torch.no_grad():
        (out,) = run(twin, as_sample(module, sample), False, forward, 0)
    return out.detach().cpu().double().numpy() if isinstance(out, torch.Tensor) else None
