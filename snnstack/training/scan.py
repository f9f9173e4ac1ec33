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

from snnstack.engine.backward import membranes, walk_back

DAMPING = 0.3
"""Height of the surrogate: through hundreds of recurrent steps a height of 1 explodes."""


@dataclass(frozen=True, eq=False)
class Told:
    """A population's constants, and what it did: `spikes`, `held` [batch, step, n].

    `neuron` [3, n]: alpha, beta (0 without a synaptic current), threshold; `reset` as in
    `snnstack.engine.backward`.
    """

    neuron: Tensor
    reset: int
    spikes: Tensor
    held: Tensor
    delays: tuple[int, ...]


class _Scan(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
    """Spikes of a population for input `x` [batch, step, n]; `recurrent` weights [n, n]."""

    @staticmethod
    def forward(ctx: Any, told: Told, x: Tensor, threshold: Tensor, *recurrent: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        for weight, delay in zip(recurrent, told.delays, strict=True):
            total[:, delay:] += told.spikes[:, :-delay] @ weight.T
        alpha, beta, _ = _array(told.neuron)
        membranes(total.numpy(), _array(told.held), alpha, beta)
        ctx.told = told
        ctx.save_for_backward(total, *recurrent)
        return told.spikes

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        v, *recurrent = ctx.saved_tensors
        told: Told = ctx.told
        n = v.shape[-1]
        loops = torch.stack(recurrent) if recurrent else v.new_zeros(0, n, n)
        dx, moved = torch.empty_like(v), v.new_empty(n)
        walk_back(
            _array(grad), _array(v), _array(told.spikes), told.reset, _array(told.neuron), DAMPING,
            _array(loops), np.array(told.delays, dtype=np.int64), dx.numpy(), moved.numpy(),
        )  # fmt: skip
        found = [
            dx[:, delay:].reshape(-1, n).T @ told.spikes[:, :-delay].reshape(-1, n)
            for delay in told.delays
        ]
        return None, dx, moved, *found


def _array(values: Tensor) -> Any:
    """The same memory where it is contiguous already."""
    return values.detach().contiguous().numpy()


def scan(told: Told, x: Tensor, threshold: Tensor, recurrent: list[Tensor]) -> Tensor:
    """The spikes that were told, with gradients for `x`, thresholds and recurrent weights."""
    found: Tensor = _Scan.apply(told, x, threshold, *recurrent)
    return found
