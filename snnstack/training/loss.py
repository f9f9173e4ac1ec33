"""How far a network is from the labels, and from what its float network does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnstack.ir.step import StepGraph
from snnstack.report.readout import read_out
from snnstack.trace import Trace
from snnstack.training.logits import check_trainable, logits
from snnstack.training.neurons import Real
from snnstack.training.recipe import Goals

LARGEST = 30.0
"""Logit of the usual winner: scores of the outputs are multiplied so that it gets this."""
WARMTH = 2.0
"""Logits are divided by this before they are compared with the float network's."""
WINDOWS = 16
"""Parts of the time in which spikes of hidden neurons are counted and compared."""


class Loss:
    """Cross-entropy to the labels; divergence from the outputs of the float network (Hinton et
    al., arXiv 1503.02531); mean square difference of the spikes of hidden neurons per window.
    """

    def __init__(self, graph: StepGraph, usual: Trace, goals: Goals) -> None:
        self.goals, self.output = goals, graph.outputs[0]
        self.hidden = [p.name for p in graph.populations if p.fires and p.name != self.output]
        self.readout = read_out(graph.settings)
        check_trainable(self.readout, graph.population(self.output))
        largest = np.abs(self._real(usual).numpy()).max(axis=1)
        self.gain = LARGEST / max(float(np.percentile(largest, 95)), 1e-12)

    def __call__(self, sent: Mapping[str, Tensor], real: Trace, labels: Tensor | None) -> Tensor:
        """Of a batch: what every population sends [batch, step, n], and the float run."""
        found = logits(sent[self.output], self.readout) * self.gain
        total = self.goals.outputs * _divergence(found, self._real(real) * self.gain)
        if labels is not None:
            total = total + self.goals.labels * functional.cross_entropy(found, labels)
        for name in self.hidden:
            spikes = torch.as_tensor(real.spikes[name].dense()).reshape(sent[name].shape)
            difference = _windows(sent[name]) - _windows(spikes.to(Real))
            total = total + self.goals.hidden * (difference**2).mean() / len(self.hidden)
        return total

    def _real(self, trace: Trace) -> Tensor:
        """[sample, class] of the float network."""
        if self.output in trace.spikes:
            spikes = trace.spikes[self.output]
            sent = spikes.dense().reshape(spikes.batch, spikes.steps, -1)
        else:
            sent = trace.states[self.output, "v"]
        return logits(torch.as_tensor(sent).to(Real), self.readout)


def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    found = torch.log_softmax(logits / WARMTH, 1)
    real = torch.softmax(wanted / WARMTH, 1)
    return functional.kl_div(found, real, reduction="batchmean") * WARMTH**2


def _windows(spikes: Tensor) -> Tensor:
    """[batch, window, n]: sums over equal parts of the time; what is left over is left out."""
    batch, steps, n = spikes.shape
    length = max(steps // WINDOWS, 1)
    count = steps // length
    return spikes[:, : count * length].reshape(batch, count, length, n).sum(2)
