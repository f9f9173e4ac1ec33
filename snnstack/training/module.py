"""`StepModule`: a `StepGraph` as a torch module that trains with surrogate gradients.

With a `machine` its forward pass is that of the hardware: spikes and membranes are what the
machine computes for the present weights, and gradients pass straight through the rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnstack.errors import DataError, fail
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population, StepGraph, size
from snnstack.samples import as_data
from snnstack.trace import Spikes
from snnstack.training.neurons import Observed, Real, Surrogate, arctan
from snnstack.training.run import Run, Values

Machine = Callable[[StepGraph, Spikes], Observed]


class StepModule(nn.Module):  # type: ignore[misc, unused-ignore]
    """Weights and biases of `graph` as parameters, for a machine thresholds as well; float64.

    `teacher` is the float network that `graph` came from, with the same populations. A weight that
    is 0 there is no synapse and stays 0. Parameters are kept near 1 (divided by a power
    of two per projection), so that one learning rate suits all of them.
    """

    def __init__(
        self,
        graph: StepGraph,
        machine: Machine | None = None,
        surrogate: Surrogate | None = None,
        teacher: StepGraph | None = None,
    ) -> None:
        super().__init__()
        self.graph, self.machine, self.teacher = graph, machine, teacher or graph
        self.surrogate = surrogate or arctan
        self.units = [_unit(p.synapses.weight) for p in graph.projections]
        self.bias_units = [_unit(_threshold(p)) for p in graph.populations]
        self.weights = nn.ParameterList(
            _parameter(p.synapses.weight / unit)
            for p, unit in zip(graph.projections, self.units, strict=True)
        )
        self.biases = nn.ParameterList(
            _parameter(p.bias / unit)
            for p, unit in zip(graph.populations, self.bias_units, strict=True)
        )
        self.stretches = nn.ParameterList(_parameter(np.zeros(p.n)) for p in graph.populations)
        for stretch, p in zip(self.stretches, graph.populations, strict=True):
            stretch.requires_grad_(p.threshold is not None and machine is not None)
        self.masks = [torch.as_tensor(p.synapses.weight != 0) for p in self.teacher.projections]

    def step_graph(self) -> StepGraph:
        """The network with the present parameters."""
        projections = tuple(
            replace(p, synapses=replace(p.synapses, weight=w.detach().numpy().copy()))
            for p, w in zip(self.graph.projections, self._real_weights(), strict=True)
        )
        triples = zip(self.graph.populations, self.biases, self.bias_units, strict=True)
        populations = tuple(
            p.with_lif(bias=b.detach().numpy() * unit, threshold=None if t is None else _array(t))
            for (p, b, unit), t in zip(triples, self._thresholds(), strict=True)
        )
        return self.graph.with_(projections=projections, populations=populations)

    def _thresholds(self) -> list[Tensor | None]:
        """By at most a third up or down, so that they stay above 0."""
        return [
            None if p.threshold is None else torch.tensor(p.threshold) * (1 + torch.tanh(s) / 3)
            for p, s in zip(self.graph.populations, self.stretches, strict=True)
        ]

    def _real_weights(self) -> list[Tensor]:
        triples = zip(self.weights, self.units, self.masks, strict=True)
        return [weight * unit * mask for weight, unit, mask in triples]

    def forward(self, x: Tensor) -> Tensor:
        """[batch, step, n] of the first output for `x` [batch, step, *input shape]: its spikes,
        or its membrane where it does not fire.
        """
        return self.run(x)[self.graph.outputs[0]]

    def run(self, x: Tensor) -> dict[str, Tensor]:
        """What every population sends, as `forward`.

        With a machine, DataError for what its emulator refuses: values that are no counts.
        """
        port = self.graph.port
        if x.ndim < 3 or int(np.prod(x.shape[2:])) != size(port.shape):
            what = f"x has the shape {list(x.shape)}"
            raise fail(DataError, port.name, what, f"needs [batch, step, {list(port.shape)}]")
        flat = x.reshape(x.shape[0], x.shape[1], -1).to(Real)
        weights = self._real_weights()
        observed = None
        if self.machine is not None:
            dense = flat.detach().numpy().reshape(*flat.shape[:2], *port.shape)
            observed = self.machine(self.step_graph(), as_data({"x": dense}, port).spikes)
            held = (torch.as_tensor(w, dtype=Real) for w in observed.weights)
            weights = [w + (h - w).detach() for w, h in zip(weights, held, strict=True)]
        biases = [b * unit for b, unit in zip(self.biases, self.bias_units, strict=True)]
        values = Values(weights, biases, self._thresholds())
        return Run(self.graph, values, flat, observed, self.surrogate).result()


def _unit(values: Array) -> float:
    """The power of two nearest to the usual size of `values`."""
    used = np.abs(values[values != 0])
    return float(2.0 ** np.rint(np.log2(np.sqrt(np.mean(used**2))))) if used.size else 1.0


def _threshold(p: Population) -> Array:
    return np.ones(1) if p.threshold is None else p.threshold


def _array(values: Tensor) -> Array:
    return np.asarray(values.detach().numpy())


def _parameter(values: Array) -> Any:
    return nn.Parameter(torch.tensor(np.asarray(values, dtype=np.float64)))
