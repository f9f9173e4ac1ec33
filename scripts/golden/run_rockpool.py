"""What Rockpool computes from the networks that it exports.

Environment: torch, nir, nirtorch, `pip install --no-deps rockpool`, and `PIP_NO_INDEX=1`: it
installs packages when it is imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from record import Record, events
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch
from rockpool.nn.modules.torch.nir import to_nir

N, M = 6, 8
record = Record("rockpool", ("rockpool", "nirtorch", "nir", "torch", "numpy"))
one = {"max_spikes_per_dt": torch.tensor(1.0)}


def linear(n: int, m: int, gain: float, bias: bool = False, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    weight = torch.tensor(random.normal(0.3, 1.0, (n, m)) * gain).float()
    offset = {"bias": torch.tensor(random.normal(0, 0.2, m) * gain).float()} if bias else {}
    return LinearTorch((n, m), weight=weight, has_bias=bias, **offset)


def random(low: float, high: float, n: int = M, seed: int = 1) -> Any:
    return torch.tensor(np.random.default_rng(seed).uniform(low, high, n)).float()


def case(name: str, *layers: Any, sample: Any = None, x: Any = None, **said: Any) -> None:
    net = Sequential(*layers)
    x = events(2, 4, 60, N) if x is None else x
    graph = to_nir(net) if sample is None else to_nir(net, sample)
    net = net.reset_state()  # the exporter has run it
    with torch.no_grad():
        out, _, _ = net(torch.tensor(x).float())
    record.add(name, graph, x, out.numpy(), **said)


case("lif", linear(N, M, 0.04), LIFTorch(M, **one))
case("lif_bias", linear(N, M, 0.04, bias=True), LIFTorch(M, **one))
case(
    "lif_times",
    linear(N, M, 0.08),
    LIFTorch(
        M,
        tau_mem=random(5e-3, 40e-3),
        tau_syn=random(2e-3, 20e-3, seed=3)[:, None],
        threshold=random(0.5, 1.5, seed=4),
        **one,
    ),
)
case("lif_sample", linear(N, M, 0.04), LIFTorch(M, **one), sample=torch.zeros(4, 60, N))
case("lif_single_sample", linear(N, M, 0.04), LIFTorch(M, **one), sample=torch.zeros(1, 1, N))
case("lif_dt", linear(N, M, 0.1), LIFTorch(M, dt=5e-3, **one))
case("lif_dt_small", linear(N, M, 0.02), LIFTorch(M, tau_mem=5e-3, tau_syn=2e-3, dt=1e-4, **one))
case("neuron", linear(N, M, 0.2), LIFNeuronTorch(M, **one))
case(
    "neuron_times",
    linear(N, M, 0.3, bias=True),
    LIFNeuronTorch(M, tau_mem=random(2e-3, 40e-3), threshold=random(0.5, 1.5, seed=4), **one),
)
case("neuron_dt", linear(N, M, 0.2), LIFNeuronTorch(M, dt=2e-3, **one))
case(
    "decays",
    linear(N, M, 0.1),
    LIFTorch(
        M, leak_mode="decays", alpha=torch.full((M,), 0.9), beta=torch.full((M, 1), 0.7), **one
    ),
)
case(
    "bitshifts",
    linear(N, M, 0.04),
    LIFTorch(
        M,
        leak_mode="bitshifts",
        dash_mem=torch.full((M,), 4.0),
        dash_syn=torch.full((M, 1), 3.0),
        **one,
    ),
)
case(
    "two_layers",
    linear(N, M, 0.04),
    LIFTorch(M, **one),
    linear(M, 5, 0.05, seed=5),
    LIFTorch(5, **one),
)
case(
    "mixed",
    linear(N, M, 0.2),
    LIFNeuronTorch(M, **one),
    linear(M, 5, 0.08, seed=5),
    LIFTorch(5, **one),
)
quiet = linear(N, M, 0.02)
case(
    "defaults",
    quiet,
    LIFTorch(M),
    linear(M, 5, 0.06, seed=5),
    LIFTorch(5),
    claims="several spikes in a step",
)
for name, times in (("synapse", {}), ("synapse_times", {"tau": random(2e-3, 20e-3, 5)})):
    readout = ExpSynTorch(5, **times)
    readout.tau.requires_grad_(False)  # else the exporter fails
    case(name, linear(N, M, 0.04), LIFTorch(M, **one), linear(M, 5, 0.2, seed=5), readout)
own = LIFTorch(M, has_rec=True, w_rec=torch.eye(M) * -0.05, **one)
case("recurrent", linear(N, M, 0.04), own, claims="w_rec", differs=True)
several = LIFTorch(M)
case("several_spikes", linear(N, M, 0.1), several, claims="several spikes in a step", differs=True)
offset = LIFNeuronTorch(M, bias=torch.full((M,), 0.05), **one)
case("neuron_bias", linear(N, M, 0.2), offset, claims="bias", differs=True)
record.save()
