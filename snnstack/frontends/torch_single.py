"""A step graph in single precision, with torch's own kernels and the frameworks' order of sums.

It differs from a framework's run by nothing but the meaning of the graph: what is left of a
comparison when rounding is taken out. Sums go `decay * state + input + recurrent + ...`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Population, Projection, StepGraph, size

MOST = 2**24
"""Elements of a matrix that is made for synapses that are neither dense nor a convolution."""


def run_single(graph: StepGraph, x: Array) -> dict[str, Array] | None:
    """{population: spikes [sample, step, n]} for input `x`; None where it would need too much."""
    import torch

    if any(_too_large(graph, p) for p in graph.projections):
        return None
    batch, steps = x.shape[:2]
    values = {graph.inputs[0].name: torch.tensor(x.reshape(batch, steps, -1)).float()}
    for p in graph.populations:
        values[p.name] = torch.zeros(batch, steps, p.n)
    into = {p.name: [_synapses(graph, q) for q in graph.into(p.name)] for p in graph.populations}
    states = {p.name: _Neurons(p, batch) for p in graph.populations}
    with torch.no_grad():
        for t in range(steps):
            for p in graph.populations:
                parts = [
                    run(values[q.source][:, t - q.delay])
                    if t >= q.delay
                    else run(torch.zeros_like(values[q.source][:, 0]))
                    for q, run in into[p.name]
                ]
                values[p.name][:, t] = states[p.name].step(parts)
    fires = [p.name for p in graph.populations if p.fires]
    return {name: values[name].numpy() for name in fires}


def _too_large(graph: StepGraph, projection: Projection) -> bool:
    n = graph.population(projection.target).n
    plain = isinstance(projection.synapses, (Dense, Conv)) and projection.pool is None
    pooled = projection.pool is not None and size(projection.pool.in_shape) * n > MOST
    sources = projection.synapses.weight.size if plain else n * n
    return pooled or (not plain and sources > MOST)


def _synapses(graph: StepGraph, projection: Projection) -> tuple[Projection, Any]:
    import torch
    from torch.nn import functional

    p, synapses = graph.population(projection.target), projection.synapses
    first = next(q for q in graph.into(p.name) if q.delay == 0 or q is graph.into(p.name)[-1])
    bias = torch.tensor(p.bias).float() if projection is first and p.bias.any() else None
    if isinstance(synapses, Conv) and projection.pool is None:
        weight = torch.tensor(synapses.weight).float()
        shape, out = synapses.in_shape, synapses.out_shape
        channel = None if bias is None else bias.reshape(out[0], -1)[:, 0]
        window = (synapses.stride, synapses.padding, synapses.dilation, synapses.groups)

        def convolve(s: Any) -> Any:
            made = functional.conv2d(s.reshape(-1, *shape), weight, channel, *window)
            return made[:, :, : out[1], : out[2]].flatten(1)

        return projection, convolve
    full = matrix(synapses, p.n)
    if projection.pool is not None:
        full = full @ pool_matrix(projection.pool)
    weight = torch.tensor(np.asarray(full.toarray())).float()
    return projection, lambda s: functional.linear(s, weight, bias)


class _Neurons:
    """One population's states; `step(inputs)` gives its spikes, or its membrane."""

    def __init__(self, p: Population, batch: int) -> None:
        import torch

        def single(values: Any) -> Any:
            return None if values is None else torch.tensor(values).float()

        self.p, self.v, self.i = p, torch.zeros(batch, p.n), torch.zeros(batch, p.n)
        self.alpha, self.beta = single(p.alpha), single(p.beta)
        self.leak, self.threshold = single(p.leak), single(p.threshold)
        self.v_reset = single(p.v_reset)

    def step(self, inputs: list[Any]) -> Any:
        p, late = self.p, self._late()
        before = self.v
        if p.reset == "set" and p.reset_time == "next":
            before = late * self.v_reset + (1 - late) * before
        if self.beta is None:
            v = self._sum(self.alpha * before, inputs)
        else:
            self.i = self._sum(self.beta * self.i, inputs)
            v = self.alpha * before + self.i
        v = v + self.leak
        if self.threshold is None:
            self.v = v
            return v
        if p.reset == "set" and p.reset_time == "next_all":
            v = late * self.v_reset + (1 - late) * v
        if p.reset == "subtract" and p.reset_time != "now":
            v = v - late * self.threshold
        fired = self._above(v)
        self.v = self._after(v, fired, late)
        return fired

    def _sum(self, value: Any, inputs: list[Any]) -> Any:
        for one in inputs:
            value = value + one
        return value

    def _above(self, v: Any) -> Any:
        return ((v >= self.threshold) if self.p.compare == "ge" else (v > self.threshold)).float()

    def _late(self) -> Any:
        return 0.0 if self.p.reset_time == "now" or self.threshold is None else self._above(self.v)

    def _after(self, v: Any, fired: Any, late: Any) -> Any:
        if self.p.reset_time == "recheck":
            return v - (fired - late) * self.threshold
        if self.p.reset_time != "now" or self.p.reset == "none":
            return v
        if self.p.reset == "subtract":
            return v - fired * self.threshold
        return fired * self.v_reset + (1 - fired) * v
