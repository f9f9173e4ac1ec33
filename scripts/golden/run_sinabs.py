"""What sinabs computes from the networks that it exports.

Environment: torch, nir, nirtorch, `pip install --no-deps sinabs`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sinabs.layers as sl
import torch
from record import Record, events
from sinabs.activation import MembraneReset, SingleSpike
from sinabs.nir import to_nir

N, M = 6, 8
record = Record("sinabs", ("sinabs", "nirtorch", "nir", "torch", "numpy"))
one = {"spike_fn": SingleSpike}


def linear(n: int, m: int, gain: float, bias: bool = True, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    made = torch.nn.Linear(n, m, bias=bias)
    made.weight.data = torch.tensor(random.normal(0.3, 1.0, (m, n)) * gain).float()
    if bias:
        made.bias.data = torch.tensor(random.normal(0, 0.2, m) * gain).float()
    return made


def conv(n: int, m: int, gain: float, **kinds: Any) -> Any:
    made = torch.nn.Conv2d(n, m, 3, **kinds)
    shape = tuple(made.weight.shape)
    made.weight.data = torch.tensor(np.random.default_rng(7).normal(0.3, 1.0, shape) * gain).float()
    if made.bias is not None:
        made.bias.data = torch.tensor(np.random.default_rng(8).normal(0, 0.2, m) * gain).float()
    return made


def random(low: float, high: float, n: int = M, seed: int = 1) -> Any:
    return torch.tensor(np.random.default_rng(seed).uniform(low, high, n)).float()


def case(name: str, *layers: Any, x: Any = None, squeeze: bool = False, **said: Any) -> None:
    """Layers take [sample, step, ...]; `squeeze`: [sample * step, ...], as convolutions need."""
    net = torch.nn.Sequential(*layers)
    x = events(2, 4, 60, N) if x is None else x
    given = torch.tensor(x).float()
    given = given.flatten(0, 1) if squeeze else given
    with torch.no_grad():
        out = net(given).numpy()
    out = out.reshape(*x.shape[:2], *out.shape[1:]) if squeeze else out
    try:
        record.add(name, to_nir(net, given), x, out, **said)
    except Exception as error:
        print("NOT EXPORTED", name, repr(error)[:300])


pictures = events(3, 3, 40, 2, 6, 6, share=0.3)
sq = {"batch_size": 3}
case("iaf", linear(N, M, 0.3), sl.IAF(**one))
case("iaf_no_bias", linear(N, M, 0.3, bias=False), sl.IAF(spike_threshold=torch.tensor(1.5), **one))
case(
    "iaf_squeeze",
    linear(N, M, 0.3),
    sl.IAFSqueeze(batch_size=4, min_v_mem=None, **one),
    squeeze=True,
)
case("lif", linear(N, M, 1.0), sl.LIF(tau_mem=10.0, **one))
case(
    "lif_threshold",
    linear(N, M, 1.0),
    sl.LIF(tau_mem=20.0, spike_threshold=torch.tensor(0.7), **one),
)
case(
    "lif_one_element",
    linear(N, M, 1.0),
    sl.LIF(tau_mem=torch.tensor([10.0]), spike_threshold=torch.tensor([0.8]), **one),
)
case(
    "lif_times",
    linear(N, M, 1.0),
    sl.LIF(tau_mem=random(3, 30), spike_threshold=torch.ones(M), **one),
)
case(
    "lif_squeeze", linear(N, M, 1.0), sl.LIFSqueeze(tau_mem=10.0, batch_size=4, **one), squeeze=True
)
case(
    "two_layers",
    linear(N, M, 2.0),
    sl.LIF(tau_mem=10.0, **one),
    linear(M, 5, 3.0, seed=5),
    sl.LIF(tau_mem=30.0, **one),
)
case(
    "readout",
    linear(N, M, 1.0),
    sl.LIF(tau_mem=10.0, **one),
    linear(M, 5, 1.0, seed=5),
    sl.ExpLeak(tau_mem=20.0),
)
case(
    "readout_times",
    linear(N, M, 1.0),
    sl.LIF(tau_mem=10.0, **one),
    linear(M, 5, 1.0, seed=5),
    sl.ExpLeak(tau_mem=random(5, 20, 5)),
)
case(
    "conv",
    conv(2, 3, 0.3),
    sl.IAFSqueeze(min_v_mem=None, **sq, **one),
    sl.SumPool2d(2),
    torch.nn.Flatten(),
    linear(12, 5, 0.3, seed=5),
    sl.IAFSqueeze(min_v_mem=None, **sq, **one),
    x=pictures,
    squeeze=True,
)
case(
    "conv_no_bias",
    conv(2, 3, 0.3, bias=False, stride=2, padding=1),
    sl.IAFSqueeze(min_v_mem=None, **sq, **one),
    x=pictures,
    squeeze=True,
)
case(
    "conv_lif",
    conv(2, 3, 1.0),
    sl.LIFSqueeze(tau_mem=10.0, **sq, **one),
    torch.nn.Flatten(),
    linear(48, 5, 1.5, seed=5),
    sl.LIFSqueeze(tau_mem=5.0, **sq, **one),
    x=pictures,
    squeeze=True,
)
case(
    "reset_zero",
    linear(N, M, 1.0),
    sl.LIF(tau_mem=10.0, reset_fn=MembraneReset(), **one),
    reset="zero",
)
case("defaults_quiet", linear(N, M, 0.8), sl.LIF(tau_mem=20.0), claims="several spikes in a step")
case("several_spikes", linear(N, M, 1.0), sl.IAF(), claims="several spikes in a step", differs=True)
case(
    "lower_limit",
    linear(N, M, 1.0),
    sl.IAFSqueeze(batch_size=4, min_v_mem=-0.2, **one),
    squeeze=True,
    claims="min_v_mem",
    differs=True,
)
case(
    "not_normalised",
    linear(N, M, 0.3),
    sl.LIF(tau_mem=10.0, norm_input=False, **one),
    claims="norm_input",
    differs=True,
)
case(
    "with_current",
    linear(N, M, 1.0),
    sl.LIF(tau_mem=10.0, tau_syn=5.0, **one),
    claims="tau_syn",
    differs=True,
)
record.save()
