"""Backward through time in one go, for a population whose forward pass a machine has told.

Where spikes s and membranes after the step are known, only the backward pass walks the steps:

    dv(t) = ds(t) g(t) + p(t) alpha dv(t + 1)        g: surrogate, p: 0 where v was replaced
    di(t) = dv(t) + beta di(t + 1) = dx(t)           ds(t) += W' dx(t + d) over recurrent W
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DAMPING = 0.3
"""Height of the surrogate: through hundreds of recurrent steps a height of 1 explodes."""


@dataclass(frozen=True, eq=False)
class Told:
    """A population's constants, and what it did: `spikes`, `held` [batch, step, n]."""

    alpha: Tensor
    beta: Tensor | None
    threshold: Tensor
    spikes: Tensor
    held: Tensor
    passes: Tensor
    delays: tuple[int, ...]
    subtracts: bool


class _Scan(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
    """Spikes of a population for input `x` [batch, step, n]; `recurrent` weights [n, n]."""

    @staticmethod
    def forward(ctx: Any, told: Told, x: Tensor, threshold: Tensor, *recurrent: Tensor) -> Tensor:
        total = x.clone()
        for weight, delay in zip(recurrent, told.delays, strict=True):
            total[:, delay:] += told.spikes[:, :-delay] @ weight.T
        current = total if told.beta is None else _low_pass(total, told.beta)
        before = torch.zeros_like(current)
        before[:, 1:] = told.held[:, :-1]
        ctx.told = told
        ctx.save_for_backward(told.alpha * before + current, *recurrent)
        return told.spikes

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        v, *recurrent = ctx.saved_tensors
        told: Told = ctx.told
        slope = DAMPING / (told.threshold * (1 + (torch.pi * (v / told.threshold - 1)) ** 2))
        keep = told.passes * told.alpha
        dx, late = torch.zeros_like(v), torch.zeros_like(v)
        sums = torch.zeros_like(v)
        dv = di = torch.zeros_like(v[:, 0])
        for t in range(v.shape[1] - 1, -1, -1):
            ds = grad[:, t]
            for weight, delay in zip(recurrent, told.delays, strict=True):
                if t + delay < v.shape[1]:
                    ds = torch.addmm(ds, dx[:, t + delay], weight)
            late[:, t] = dv
            sums[:, t] = ds
            dv = torch.addcmul(ds * slope[:, t], keep[:, t], dv)
            di = dv if told.beta is None else torch.addcmul(dv, told.beta, di)
            dx[:, t] = di
        flat = dx.shape[-1]
        found = [
            dx[:, delay:].reshape(-1, flat).T @ told.spikes[:, :-delay].reshape(-1, flat)
            for delay in told.delays
        ]
        moved = -sums * slope * v / told.threshold
        if told.subtracts:
            moved = moved - told.spikes * told.alpha * late
        return None, dx, moved.sum(dim=(0, 1)), *found


def _low_pass(x: Tensor, beta: Tensor) -> Tensor:
    out = torch.empty_like(x)
    state = torch.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        state = torch.addcmul(x[:, t], beta, state)
        out[:, t] = state
    return out


def scan(told: Told, x: Tensor, threshold: Tensor, recurrent: list[Tensor]) -> Tensor:
    """The spikes that were told, with gradients for `x`, thresholds and recurrent weights."""
    found: Tensor = _Scan.apply(told, x, threshold, *recurrent)
    return found
