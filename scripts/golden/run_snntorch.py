"""What snnTorch computes from the networks that it exports.

Environment: torch, nir, nirtorch, snntorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import snntorch as snn
import torch
from record import Record, events
from snntorch import utils
from snntorch.export_nir import export_to_nir

N, M = 6, 8
record = Record("snntorch", ("snntorch", "nirtorch", "nir", "torch", "numpy"))


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


def random(low: float, high: float, n: Any = M, seed: int = 1) -> Any:
    return torch.tensor(np.random.default_rng(seed).uniform(low, high, n)).float()


def case(name: str, *layers: Any, x: Any = None, how: Any = None, **said: Any) -> None:
    net = torch.nn.Sequential(*layers)
    x = events(2, 4, 60, N) if x is None else x
    how = {"ignore_dims": [0]} if how is None else how
    try:
        utils.reset(net)
        graph = export_to_nir(net, torch.tensor(x[:1, 0]).float(), **how)
    except Exception as error:
        print("NOT EXPORTED", name, repr(error)[:300])
        return
    utils.reset(net)
    out = []
    with torch.no_grad():
        for step in range(x.shape[1]):
            got = net(torch.tensor(x[:, step]).float())
            out.append((got[0] if isinstance(got, tuple) else got).numpy())
    record.add(name, graph, x, np.stack(out, axis=1), **said)


def beta(low: float = 0.6, high: float = 0.95, n: Any = M, seed: int = 2) -> Any:
    return {"beta": random(low, high, n, seed), "threshold": torch.ones(n)}


pictures = events(3, 3, 40, 2, 6, 6, share=0.3)
hid = {"init_hidden": True}
zero = {"reset_mechanism": "zero"}
case("leaky", linear(N, M, 0.3), snn.Leaky(**beta(), **hid))
case("leaky_batch_axis", linear(N, M, 0.3), snn.Leaky(**beta(), **hid), how={})
case("leaky_one_beta", linear(N, M, 0.3), snn.Leaky(beta=0.9, **hid), how={})
case(
    "leaky_thresholds",
    linear(N, M, 0.3),
    snn.Leaky(beta=random(0.6, 0.95), threshold=random(0.5, 1.5), **hid),
)
case(
    "leaky_zero",
    linear(N, M, 0.3),
    snn.Leaky(**beta(), **hid, **zero),
    reset="zero",
    reset_time="next",
)
case(
    "leaky_at_once",
    linear(N, M, 0.3),
    snn.Leaky(**beta(), **hid, reset_delay=False),
    reset="subtract",
    reset_time="recheck",
)
case(
    "two_layers",
    linear(N, M, 0.3),
    snn.Leaky(**beta(), **hid),
    linear(M, 5, 0.5, seed=5),
    snn.Leaky(**beta(n=5), **hid, output=True),
)
case("no_bias", linear(N, M, 0.3, bias=False), snn.Leaky(**beta(), **hid))
case("synaptic", linear(N, M, 0.1), snn.Synaptic(alpha=random(0.4, 0.9), **beta(), **hid))
case(
    "synaptic_zero",
    linear(N, M, 0.1),
    snn.Synaptic(alpha=random(0.4, 0.9), **beta(), **hid, **zero),
    reset="zero",
    reset_time="next_all",
)
case(
    "synaptic_two",
    linear(N, M, 0.1),
    snn.Synaptic(alpha=random(0.4, 0.9), **beta(), **hid),
    linear(M, 5, 1.0, seed=5),
    snn.Leaky(**beta(n=5), **hid, output=True),
)
for all_to_all, word in ((True, "dense"), (False, "one_to_one")):
    own = {"V": random(-0.5, 0.2)} if not all_to_all else {"linear_features": M}
    made = snn.RLeaky(**beta(), **hid, all_to_all=all_to_all, **own)
    if all_to_all:
        made.recurrent.weight.data = random(-0.4, 0.2, (M, M), 9)
        made.recurrent.bias.data = random(-0.05, 0.05, M, 11)
    case(f"rleaky_{word}", linear(N, M, 0.3), made)
    made = snn.RSynaptic(alpha=random(0.4, 0.9), **beta(), **hid, all_to_all=all_to_all, **own)
    if all_to_all:
        made.recurrent.weight.data = random(-0.2, 0.1, (M, M), 9)
    case(f"rsynaptic_{word}", linear(N, M, 0.1), made)
maps = {"beta": random(0.6, 0.9, (3, 4, 4)), "threshold": torch.ones(3, 4, 4)}
case(
    "conv",
    conv(2, 3, 0.3),
    snn.Leaky(**maps, **hid),
    torch.nn.AvgPool2d(2),
    torch.nn.Flatten(),
    linear(12, 5, 0.8, seed=5),
    snn.Leaky(**beta(n=5), **hid, output=True),
    x=pictures,
)
case("conv_no_bias", conv(2, 3, 0.3, bias=False), snn.Leaky(**maps, **hid), x=pictures)
case(
    "conv_one_beta",
    conv(2, 3, 0.3),
    snn.Leaky(beta=0.8, **hid),
    torch.nn.Flatten(),
    linear(48, 5, 0.3, seed=5),
    snn.Leaky(beta=0.9, **hid, output=True),
    x=pictures,
    how={},
)
record.save()
