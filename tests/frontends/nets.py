"""Torch networks for the tests of the front doors, with weights that make them fire."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)  # many small products


def lively(net: nn.Module, gain: float = 2.5, seed: int = 0) -> nn.Module:
    """The network with larger weights and drawn statistics of its batch normalisations."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) * gain / parameter[0].numel() ** 0.5)
        for module in net.modules():
            norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
            if norm and module.running_mean is not None:
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.3, 1.0)
                module.weight.uniform_(1.0, 2.0)
                module.bias.uniform_(-0.1, 0.5)
    return net


def spikes(*shape: int, rate: float = 0.4, seed: int = 0) -> torch.Tensor:
    """Random 0/1."""
    return torch.tensor(np.random.default_rng(seed).random(shape) < rate).float()


def digits(samples: int = 360, steps: int = 25) -> torch.Tensor:
    """Handwritten digits as random spikes [step, sample, 64]: a pixel's grey is its rate."""
    from sklearn.datasets import load_digits

    grey = load_digits().images[:samples].reshape(samples, 64) / 16.0
    random = np.random.default_rng(1).random((steps, samples, 64))
    return torch.tensor(random < grey).float()


def trained_on_digits(make: Any, epochs: int = 6) -> nn.Module:
    """A network of one step, trained a little with its own surrogate gradient."""
    from sklearn.datasets import load_digits
    from snntorch import utils

    torch.manual_seed(0)
    data = load_digits()
    grey = torch.tensor(data.images[360:1384].reshape(-1, 64) / 16.0).float()
    labels = torch.tensor(data.target[360:1384])
    net = make()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(grey)).split(128):
            utils.reset(net)
            total: Any = 0.0
            for _ in range(10):
                out = net((torch.rand_like(grey[part]) < grey[part]).float())
                total = total + (out[0] if isinstance(out, tuple) else out)
            loss = nn.functional.cross_entropy(total, labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net
