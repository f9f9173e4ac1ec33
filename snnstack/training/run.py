"""One pass of a network over all steps, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from snnstack.frontends.torch_synapses import applied
from snnstack.ir.step import Dense, Projection, StepGraph
from snnstack.training.neurons import Neurons, Observed, Surrogate
from snnstack.training.scan import scan


@dataclass(frozen=True, eq=False)
class Values:
    """The parameters of a pass: weights by projection, the rest by population; in volts."""

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    thresholds: Sequence[Tensor | None]


class Run:
    """The network `graph` with `values` on `x` [batch, step, n].

    With `observed` spikes and membranes are those, and only gradients come from the equations.
    """

    def __init__(
        self,
        graph: StepGraph,
        values: Values,
        x: Tensor,
        observed: Observed | None,
        surrogate: Surrogate,
    ) -> None:
        self.graph, self.weights = graph, values.weights
        self.batch, self.steps = x.shape[0], x.shape[1]
        self.sent: dict[str, list[Tensor]] = {p.name: [] for p in graph.populations}
        self.sizes = {p.name: p.n for p in graph.populations}
        given = self._by_input(x)
        self.fixed = [
            self._over_steps(q, w, given[q.source]) if q.source in given else None
            for q, w in zip(graph.projections, values.weights, strict=True)
        ]
        triples = zip(graph.populations, values.biases, values.thresholds, strict=True)
        self.neurons = [
            Neurons(p, bias, threshold, self.batch, observed, surrogate)
            for p, bias, threshold in triples
        ]

    def _by_input(self, x: Tensor) -> dict[str, Tensor]:
        """[sample, step, element] of every input."""
        parts = x.reshape(*x.shape[:2], -1).split([port.n for port in self.graph.inputs], dim=2)
        return {port.name: part for port, part in zip(self.graph.inputs, parts, strict=True)}

    def _over_steps(self, q: Projection, weight: Tensor, sent: Tensor) -> Tensor:
        """What a projection gives in every step, its delay left out."""
        flat = sent.reshape(self.batch * self.steps, -1)
        found = applied(q, weight, flat, self.sizes[q.target])
        return found.reshape(self.batch, self.steps, -1)

    def result(self) -> dict[str, Tensor]:
        """What every population sends [batch, step, n], or its membrane where it cannot fire."""
        if all(neurons.fused for neurons in self.neurons) and self._in_order():
            return self._scanned()
        for t in range(self.steps):
            for neurons in self.neurons:
                name = neurons.p.name
                self.sent[name].append(neurons.step(self._input(name, t), t))
        return {name: torch.stack(values, dim=1) for name, values in self.sent.items()}

    def _in_order(self) -> bool:
        """Whether every population needs only those before it, and itself later on."""
        seen = {port.name for port in self.graph.inputs}
        for p in self.graph.populations:
            for q in self.graph.into(p.name):
                loop = q.source == p.name
                dense = isinstance(q.synapses, Dense) and q.pool is None and q.delay > 0
                if (loop and not dense) or (not loop and q.source not in seen):
                    return False
            seen.add(p.name)
        return True

    def _scanned(self) -> dict[str, Tensor]:
        """As the loop over the steps, a whole population at a time."""
        sent: dict[str, Tensor] = {}
        for neurons in self.neurons:
            name, n = neurons.p.name, neurons.p.n
            total = neurons.bias.expand(self.batch, self.steps, n)
            loops, delays = [], []
            for k, q in enumerate(self.graph.projections):
                if q.target != name:
                    continue
                if q.source == name:
                    loops.append(self.weights[k])
                    delays.append(q.delay)
                else:
                    total = total + self._whole(k, q, sent)
            sent[name] = scan(neurons.told(tuple(delays)), total, neurons.threshold, loops)
        return sent

    def _whole(self, k: int, q: Projection, sent: dict[str, Tensor]) -> Tensor:
        """What projection `k` gives in every step."""
        found = self.fixed[k]
        if found is None:
            found = self._over_steps(q, self.weights[k], sent[q.source])
        if not q.delay:
            return found
        return functional.pad(found, (0, 0, q.delay, 0))[:, : self.steps]

    def _input(self, name: str, t: int) -> Tensor | None:
        total = None
        for k, q in enumerate(self.graph.projections):
            if q.target != name or t < q.delay:
                continue
            part = self._at(k, q, t - q.delay)
            total = part if total is None else total + part
        return total

    def _at(self, k: int, q: Projection, t: int) -> Tensor:
        """What projection `k` gives for what its source sent in step `t`."""
        fixed = self.fixed[k]
        if fixed is not None:
            return fixed[:, t]
        return applied(q, self.weights[k], self.sent[q.source][t], self.sizes[q.target])
