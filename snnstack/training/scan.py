"""Backward through time in one go, for a population whose forward pass a machine has told.

Where spikes and membranes after the step are known, only the backward pass walks the steps
(`snnstack.engine.backward`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnstack.engine.backward import low_pass, walk_back

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
        total = x.clone(memory_format=torch.contiguous_format)
        for weight, delay in zip(recurrent, told.delays, strict=True):
            total[:, delay:] += told.spikes[:, :-delay] @ weight.T
        if told.beta is not None:
            low_pass(total.numpy(), told.beta.numpy())
        total[:, 1:] += told.alpha * told.held[:, :-1]
        ctx.told = told
        ctx.save_for_backward(total, *recurrent)
        return told.spikes

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        v, *recurrent = ctx.saved_tensors
        told: Told = ctx.told
        slope = DAMPING / (told.threshold * (1 + (torch.pi * (v / told.threshold - 1)) ** 2))
        sums = grad.clone(memory_format=torch.contiguous_format)
        dx, late = torch.empty_like(sums), torch.empty_like(sums)
        n = dx.shape[-1]
        beta = torch.zeros(n, dtype=v.dtype) if told.beta is None else told.beta
        loops = torch.stack(recurrent) if recurrent else torch.zeros(0, n, n, dtype=v.dtype)
        keep = told.passes * told.alpha
        delays = np.array(told.delays, dtype=np.int64)
        walk_back(
            _array(sums), _array(slope), _array(keep), _array(beta), _array(loops),
            delays, _array(dx), _array(late),
        )  # fmt: skip
        found = [
            dx[:, delay:].reshape(-1, n).T @ told.spikes[:, :-delay].reshape(-1, n)
            for delay in told.delays
        ]
        moved = -sums * slope * v / told.threshold
        if told.subtracts:
            moved = moved - told.spikes * told.alpha * late
        return None, dx, moved.sum(dim=(0, 1)), *found


def _array(values: Tensor) -> Any:
    """The same memory where it is contiguous already."""
    return values.contiguous().numpy()


def scan(told: Told, x: Tensor, threshold: Tensor, recurrent: list[Tensor]) -> Tensor:
    """The spikes that were told, with gradients for `x`, thresholds and recurrent weights."""
    found: Tensor = _Scan.apply(told, x, threshold, *recurrent)
    return found
