"""A population in torch, step by step, and the surrogate gradient of its spikes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnstack.engine.backward import NONE, SET, SUBTRACT
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population
from snnstack.training.scan import DAMPING, Told

Surrogate = Callable[[Tensor], Tensor]
"""From (v - threshold) / threshold to a spike, with a gradient: as in snntorch.surrogate."""
Real = torch.float64
RESETS = {"none": NONE, "set": SET, "subtract": SUBTRACT}


@dataclass(frozen=True, eq=False)
class Observed:
    """What a machine computed: `weights` of every projection as it holds them, in volts;
    `spikes` and `membranes` (after the step, in volts) of every population [batch, step, n].
    """

    weights: tuple[Array, ...]
    spikes: Mapping[str, Array]
    membranes: Mapping[str, Array]


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


def _real(values: Array | None) -> Any:
    return None if values is None else torch.tensor(np.asarray(values), dtype=Real)


class Neurons:
    """The equations of `snnstack.ir.step`, a population's states over the steps."""

    def __init__(
        self,
        p: Population,
        bias: Tensor,
        threshold: Tensor | None,
        batch: int,
        observed: Observed | None,
        surrogate: Surrogate,
    ) -> None:
        self.p, self.bias, self.surrogate = p, bias, surrogate
        self.alpha, self.beta, self.leak = _real(p.alpha), _real(p.beta), _real(p.leak)
        self.gain, self.gain_in = _real(p.gain), _real(p.gain_in)
        self.threshold: Any = threshold
        self.v_reset = _real(p.v_reset)
        self.v = self.i = torch.zeros(batch, p.n, dtype=Real)
        self.wait = torch.zeros(batch, p.n, dtype=torch.int64)
        self.spikes: Any = None
        self.membranes: Any = None
        if observed is not None:
            self._observe(observed)

    def _observe(self, observed: Observed) -> None:
        p = self.p
        self.spikes = _real(observed.spikes.get(p.name))
        self.membranes = _real(observed.membranes.get(p.name))
        if self.spikes is None or self.membranes is None:
            return
        if p.reset == "set" and p.reset_time == "now":
            self.membranes = torch.where(self.spikes > 0, self.v_reset, self.membranes)

    @property
    def fused(self) -> bool:
        """Whether the machine says everything and the equations are the plainest: for `told`."""
        p = self.p
        plain = p.reset_time == "now" and not p.refractory and not np.any(p.leak)
        unit = bool(np.all(p.gain == 1) and np.all(p.gain_in == 1))
        told = self.spikes is not None and self.membranes is not None
        return plain and unit and told and self.surrogate is arctan

    def told(self, delays: tuple[int, ...]) -> Told:
        """For a scan; where `fused`."""
        assert self.spikes is not None and self.membranes is not None
        beta = torch.zeros_like(self.alpha) if self.beta is None else self.beta
        neuron = torch.stack([self.alpha, beta, self.threshold.detach()])
        return Told(neuron, RESETS[self.p.reset], self.spikes, self.membranes, delays)

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
