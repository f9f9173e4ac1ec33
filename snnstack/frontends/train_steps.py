"""`StepModule`: a `StepGraph` as a torch module that trains with surrogate gradients.

With a `machine` its forward pass is that of the hardware: spikes and membranes are what the
machine computes for the present weights, and gradients pass straight through the rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnstack.errors import DataError, fail
from snnstack.frontends.train_scan import DAMPING, Told, scan
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Population, Projection, Sparse, StepGraph, size
from snnstack.trace import Spikes

Surrogate = Callable[[Tensor], Tensor]
"""From (v - threshold) / threshold to a spike, with a gradient: as in snntorch.surrogate."""
Real = torch.float64


@dataclass(frozen=True, eq=False)
class Observed:
    """What a machine computed: `weights` of every projection as it holds them, in volts;
    `spikes` and `membranes` (after the step, in volts) of every population [batch, step, n].
    """

    weights: tuple[Array, ...]
    spikes: Mapping[str, Array]
    membranes: Mapping[str, Array]


Machine = Callable[[StepGraph, Spikes], Observed]


class _ArcTan(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
    """A step forward; backward the derivative of arctan (snnTorch's default), damped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * DAMPING / (1 + (torch.pi * x) ** 2)


def arctan(x: Tensor) -> Tensor:
    """The surrogate that is used where none is given."""
    found: Tensor = _ArcTan.apply(x)
    return found


class StepModule(nn.Module):  # type: ignore[misc, unused-ignore]
    """Weights and biases of `graph` as parameters, for a machine thresholds as well; float64.

    A weight that is 0 is no synapse and stays 0. Parameters are kept near 1 (divided by a power
    of two per projection), so that one learning rate suits all of them.
    """

    def __init__(
        self, graph: StepGraph, machine: Machine | None = None, surrogate: Surrogate | None = None
    ) -> None:
        super().__init__()
        self.graph, self.machine = graph, machine
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
        self.masks = [torch.as_tensor(p.synapses.weight != 0) for p in graph.projections]

    def step_graph(self) -> StepGraph:
        """The network with the present parameters."""
        projections = tuple(
            replace(p, synapses=replace(p.synapses, weight=w.detach().numpy().copy()))
            for p, w in zip(self.graph.projections, self._real_weights(), strict=True)
        )
        triples = zip(self.graph.populations, self.biases, self.bias_units, strict=True)
        populations = tuple(
            replace(p, bias=b.detach().numpy() * unit, threshold=None if t is None else _array(t))
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
        """What every population sends, as `forward`."""
        port = self.graph.inputs[0]
        if x.ndim < 3 or int(np.prod(x.shape[2:])) != size(port.shape):
            what = f"x has the shape {list(x.shape)}"
            raise fail(DataError, port.name, what, f"needs [batch, step, {list(port.shape)}]")
        flat = x.reshape(x.shape[0], x.shape[1], -1).to(Real)
        weights = self._real_weights()
        observed = None
        if self.machine is not None:
            dense = flat.detach().round().to(torch.uint8).numpy()
            spikes = Spikes.from_dense(dense.reshape(*dense.shape[:2], *port.shape))
            observed = self.machine(self.step_graph(), spikes)
            held = (torch.as_tensor(w, dtype=Real) for w in observed.weights)
            weights = [w + (h - w).detach() for w, h in zip(weights, held, strict=True)]
        return _Run(self, flat, weights, observed).result()


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


class _Run:
    """One pass over the steps."""

    def __init__(
        self, module: StepModule, x: Tensor, weights: list[Tensor], observed: Observed | None
    ) -> None:
        self.graph, self.surrogate, self.observed = module.graph, module.surrogate, observed
        self.batch, self.steps = x.shape[0], x.shape[1]
        self.weights, self.x = weights, x
        port = module.graph.inputs[0].name
        self.sent: dict[str, list[Tensor]] = {p.name: [] for p in module.graph.populations}
        sizes = self.sizes = {p.name: p.n for p in module.graph.populations}
        self.fixed = [
            _applied(p, w, x.reshape(-1, x.shape[2]), sizes[p.target]).reshape(
                self.batch, self.steps, -1
            )
            if p.source == port
            else None
            for p, w in zip(module.graph.projections, weights, strict=True)
        ]
        pairs = zip(module.graph.populations, module.biases, module.bias_units, strict=True)
        self.neurons = [
            _Neurons(p, b * unit, t, self)
            for (p, b, unit), t in zip(pairs, module._thresholds(), strict=True)
        ]

    def result(self) -> dict[str, Tensor]:
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
            flat = sent[q.source].reshape(self.batch * self.steps, -1)
            found = _applied(q, self.weights[k], flat, self.sizes[q.target]).reshape(
                self.batch, self.steps, -1
            )
        if not q.delay:
            return found
        return functional.pad(found, (0, 0, q.delay, 0))[:, : self.steps]

    def _input(self, name: str, t: int) -> Tensor | None:
        total = None
        for k, projection in enumerate(self.graph.projections):
            if projection.target != name or t < projection.delay:
                continue
            seen, fixed = t - projection.delay, self.fixed[k]
            part = (
                _applied(
                    projection,
                    self.weights[k],
                    self.sent[projection.source][seen],
                    self.sizes[name],
                )
                if fixed is None
                else fixed[:, seen]
            )
            total = part if total is None else total + part
        return total


class _Neurons:
    """The equations of `snnstack.ir.step`, a population's states over the steps."""

    def __init__(self, p: Population, bias: Tensor, threshold: Tensor | None, run: _Run) -> None:
        def real(values: Array | None) -> Any:
            return None if values is None else torch.tensor(np.asarray(values), dtype=Real)

        self.p, self.bias, self.surrogate = p, bias, run.surrogate
        self.alpha, self.beta, self.leak = real(p.alpha), real(p.beta), real(p.leak)
        self.gain, self.gain_in = real(p.gain), real(p.gain_in)
        self.threshold: Any = threshold
        self.v_reset = real(p.v_reset)
        self.v = self.i = torch.zeros(run.batch, p.n, dtype=Real)
        self.wait = torch.zeros(run.batch, p.n, dtype=torch.int64)
        seen = run.observed
        self.spikes = None if seen is None else real(seen.spikes.get(p.name))
        self.membranes = None if seen is None else real(seen.membranes.get(p.name))
        if self.spikes is not None and self.membranes is not None:
            if p.reset == "set" and p.reset_time == "now":
                self.membranes = torch.where(self.spikes > 0, self.v_reset, self.membranes)
            lost = self.spikes if p.reset == "set" else torch.zeros_like(self.spikes)
            self.passes = 1.0 - lost
        self.fused = self._simple(run)

    def told(self, delays: tuple[int, ...]) -> Told:
        """For a scan; where `fused`."""
        assert self.spikes is not None and self.membranes is not None
        fixed = (self.alpha, self.beta, self.threshold.detach())
        seen = (self.spikes, self.membranes, self.passes)
        return Told(*fixed, *seen, delays, self.p.reset == "subtract")

    def _simple(self, run: _Run) -> bool:
        """Whether the machine says everything and the equations are the plainest."""
        p = self.p
        plain = p.reset_time == "now" and not p.refractory and not np.any(p.leak)
        unit = bool(np.all(p.gain == 1) and np.all(p.gain_in == 1))
        told = self.spikes is not None and self.membranes is not None
        return plain and unit and told and run.surrogate is arctan

    def step(self, x: Tensor | None, t: int) -> Tensor:
        """What is sent in step `t`, given its input."""
        x = self.bias.expand_as(self.v) if x is None else x + self.bias
        if self.beta is not None:
            x = self.i = self.beta * self.i + self.gain_in * x
        if self.threshold is None:
            self.v = self._corrected(self.alpha * self.v + self.gain * x + self.leak, t)
            return self.v
        late = self.p.reset_time != "now"
        before = self._above(self.v) if late else torch.zeros_like(self.v)
        v = self._updated(x, before)
        waiting = self.wait > 0
        v = torch.where(waiting, self.v.detach(), v) if self.p.refractory else v
        fired = self._above(v) * ~waiting
        if self.spikes is not None:
            fired = self.spikes[:, t]
        soft = self.surrogate((v - self.threshold) / self.threshold.abs().clamp_min(1e-30))
        sent: Tensor = fired + (soft - soft.detach())
        self.v = self._corrected(self._after(v, fired, before), t, fired)
        if self.p.refractory:
            lasting = torch.full_like(self.wait, self.p.refractory)
            self.wait = torch.where(fired > 0, lasting, (self.wait - 1).clamp_min(0))
        return sent

    def _above(self, v: Tensor) -> Tensor:
        """1 where a membrane is beyond the threshold; without a gradient."""
        v = v.detach()
        return (v >= self.threshold if self.p.compare == "ge" else v > self.threshold).to(Real)

    def _updated(self, x: Tensor, before: Tensor) -> Tensor:
        kind, when = self.p.reset, self.p.reset_time
        v = self.v
        if kind == "set" and when == "next":
            v = torch.where(before > 0, self.v_reset, v)
        v = self.alpha * v + self.gain * x + self.leak
        if kind == "set" and when == "next_all":
            v = torch.where(before > 0, self.v_reset, v)
        if kind == "subtract" and when in ("next", "recheck"):
            v = v - before * self.threshold
        return v

    def _after(self, v: Tensor, fired: Tensor, before: Tensor) -> Tensor:
        if self.p.reset_time == "recheck":
            return v - (fired - before) * self.threshold
        if self.p.reset_time != "now" or self.p.reset == "none":
            return v
        if self.p.reset == "subtract":
            return v - fired * self.threshold
        return torch.where(fired > 0, self.v_reset, v)

    def _corrected(self, v: Tensor, t: int, fired: Tensor | None = None) -> Tensor:
        """The machine's membrane with the gradient of `v`; a chip may show another value than
        the reset one right after a spike.
        """
        if self.membranes is None:
            return v
        held = self.membranes[:, t]
        if fired is not None and self.p.reset == "set":
            held = torch.where(fired > 0, v.detach(), held)
        return v + (held - v).detach()


def _applied(projection: Projection, weight: Tensor, sent: Tensor, targets: int) -> Tensor:
    """[batch, targets] from what the source sends [batch, sources]."""
    if projection.pool is not None:
        sent = _pooled(projection.pool, sent)
    synapses = projection.synapses
    match synapses:
        case Dense():
            return sent @ weight.T
        case Sparse():
            return _sparse(synapses, weight, sent, targets)
        case Conv():
            return _convolved(synapses, weight, sent)


def _sparse(synapses: Sparse, weight: Tensor, sent: Tensor, targets: int) -> Tensor:
    count = len(synapses.indptr) - 1
    rows = torch.as_tensor(np.diff(synapses.indptr))
    source = torch.repeat_interleave(torch.arange(count), rows)
    target = torch.as_tensor(synapses.target.astype(np.int64))
    zeros = torch.zeros(len(sent), targets, dtype=sent.dtype)
    return zeros.index_add(1, target, sent[:, source] * weight)


def _padded(x: Tensor, out: tuple[int, int], kernel: tuple[int, int], conv: Conv | Pool) -> Tensor:
    """Zeros before by the padding, after (or a cut) as the output's shape needs."""
    pads = []
    dilation = conv.dilation if isinstance(conv, Conv) else (1, 1)
    for axis in (1, 0):
        reach = (out[axis] - 1) * conv.stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        before = conv.padding[axis]
        pads += [before, reach - before - x.shape[2 + axis]]
    return functional.pad(x, pads)


def _convolved(conv: Conv, weight: Tensor, sent: Tensor) -> Tensor:
    image = sent.reshape(-1, *conv.in_shape)
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    image = _padded(image, (conv.out_shape[1], conv.out_shape[2]), kernel, conv)
    found = functional.conv2d(
        image, weight, stride=conv.stride, dilation=conv.dilation, groups=conv.groups
    )
    return found.reshape(len(sent), -1)


def _pooled(pool: Pool, sent: Tensor) -> Tensor:
    image = sent.reshape(-1, *pool.in_shape)
    image = _padded(image, (pool.out_shape[1], pool.out_shape[2]), pool.kernel, pool)
    found = functional.avg_pool2d(image, pool.kernel, pool.stride, divisor_override=1)
    return found.reshape(len(sent), -1)
