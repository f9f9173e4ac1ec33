"""Train the network without spikes that a spiking one is held against, with torch.

Cross-entropy, Adam, a cosine schedule; of all epochs the one that does best on a tenth of the
samples, which is kept out of the training. The same samples give the same network.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snnstack.frontends.torch_synapses import convolved, pooled
from snnstack.ir.step import Conv
from snnstack.quant.opponent import Layer, Opponent, with_arrays

BATCH = 64
UPDATES = 6000
"""Of the weights, about; at least `EPOCHS[0]` and at most `EPOCHS[1]` times through the data."""
EPOCHS = (20, 300)
RATE, DECAY = 3e-3, 1e-4
KEPT_OUT = 10
"""One sample in so many chooses the epoch."""

Parameters = list[tuple[Tensor, Tensor]]


def train(net: Opponent, x: NDArray[np.float64], y: NDArray[np.int64], seed: int = 0) -> Opponent:
    """`net` with trained real weights, for `x` [sample, input] in 0..1 and classes `y`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(len(x))
        every = torch.from_numpy(x).float()[order], torch.from_numpy(y)[order]
        kept = len(x) // KEPT_OUT
        judge = (every[0][:kept], every[1][:kept]) if kept else every
        best = _fit(net, (every[0][kept:], every[1][kept:]), judge)
    return with_arrays(net, [(w.numpy().astype(float), b.numpy().astype(float)) for w, b in best])


def _fit(net: Opponent, data: tuple[Tensor, Tensor], judge: tuple[Tensor, Tensor]) -> Parameters:
    parameters = [_begin(layer) for layer in net.layers]
    flat = [tensor for pair in parameters for tensor in pair]
    optimiser = torch.optim.Adam(flat, lr=RATE, weight_decay=DECAY)
    epochs = min(max(UPDATES * BATCH // max(len(data[0]), 1), EPOCHS[0]), EPOCHS[1])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    best, least = parameters, float("inf")
    for _ in range(epochs):
        for rows in torch.randperm(len(data[0])).split(BATCH):
            loss = _loss(net, parameters, data[0][rows], data[1][rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        with torch.no_grad():
            found = float(_loss(net, parameters, *judge))
        if found < least:
            least = found
            best = [(w.detach().clone(), b.detach().clone()) for w, b in parameters]
    return best


def _begin(layer: Layer) -> tuple[Tensor, Tensor]:
    """He's uniform weights, biases 0."""
    shape = layer.synapses.weight.shape
    bound = (6.0 / float(np.prod(shape[1:]))) ** 0.5
    weight = torch.empty(*shape).uniform_(-bound, bound).requires_grad_()
    return weight, torch.zeros(len(layer.bias), requires_grad=True)


def _loss(net: Opponent, parameters: Parameters, x: Tensor, y: Tensor) -> Tensor:
    for layer, (weight, bias) in zip(net.layers, parameters, strict=True):
        x = _forward(layer, weight, bias, x)
        x = x if layer is net.layers[-1] else torch.relu(x)
    return functional.cross_entropy(x, y)


def _forward(layer: Layer, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    if layer.pool is not None:
        height, width = layer.pool.kernel
        x = pooled(layer.pool, x) / (height * width)
    if not isinstance(layer.synapses, Conv):
        return functional.linear(x, weight, bias)
    channels = layer.synapses.out_shape[0]
    return convolved(layer.synapses, weight, x) + bias.repeat_interleave(layer.n // channels)
