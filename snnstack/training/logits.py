"""`logits`: a read-out as a function that can be trained through."""

from __future__ import annotations

import torch
from torch import Tensor

from snnstack.errors import ModelError, fail
from snnstack.ir.step import Population
from snnstack.report.readout import MEMBRANES, ReadOut


def check_trainable(readout: ReadOut, output: Population) -> None:
    """ModelError for a read-out that no gradient passes through."""
    fires = output.fires
    if readout.above is not None or (fires and readout.kind in MEMBRANES):
        what = f"output {output.name!r} cannot be trained by the read-out {str(readout)!r}"
        hint = "train by its spikes (rate, first-spike), or give the network an output that does "
        raise fail(ModelError, "train", what, hint + "not fire")


def logits(sent: Tensor, readout: ReadOut) -> Tensor:
    """[batch, class] of what the first output sends [batch, step, n], in float64.

    As `snnstack.report.readout.scores`, but for "first-spike": a spike of step t weighs
    2^-t, so that an earlier one outweighs all that follow and every one has a gradient.
    """
    values = _over_time(sent, readout.kind)
    if readout.linear is not None:
        weight, bias = (torch.as_tensor(v) for v in (readout.linear.weight, readout.linear.bias))
        return values.to(weight.dtype) @ weight.T + bias
    if readout.classes is None:
        return values
    return values.reshape(len(values), readout.classes, -1).sum(2)


def _over_time(sent: Tensor, kind: str) -> Tensor:
    match kind:
        case "first-spike":
            weight = 2.0 ** -torch.arange(sent.shape[1], dtype=sent.dtype)
            return (sent * weight[:, None]).sum(1)
        case "mean":
            return sent.mean(1)
        case "last":
            return sent[:, -1]
        case "max":
            return sent.amax(1)
        case "softmax":
            return torch.softmax(sent, 2).sum(1)
        case _:
            return sent.sum(1)
