"""What SpikingJelly computes from the networks that it exports.

Environment: torch, nir, nirtorch, spikingjelly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from record import Record, events
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir

N, M = 6, 8
record = Record("spikingjelly", ("spikingjelly", "nirtorch", "nir", "torch", "numpy"))


def linear(n: int, m: int, gain: float, bias: bool = True, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    made = layer.Linear(n, m, bias=bias)
    made.weight.data = torch.tensor(random.normal(0.3, 1.0, (m, n)) * gain).float()
    if bias:
        made.bias.data = torch.tensor(random.normal(0, 0.2, m) * gain).float()
    return made


def conv(n: int, m: int, gain: float, **kinds: Any) -> Any:
    made = layer.Conv2d(n, m, 3, **kinds)
    shape = tuple(made.weight.shape)
    made.weight.data = torch.tensor(np.random.default_rng(7).normal(0.3, 1.0, shape) * gain).float()
    if made.bias is not None:
        made.bias.data = torch.tensor(np.random.default_rng(8).normal(0, 0.2, m) * gain).float()
    return made


def case(name: str, *layers: Any, x: Any = None, multi: bool = False, how: Any = None, **said: Any):
    net = torch.nn.Sequential(*layers)
    functional.set_step_mode(net, "m" if multi else "s")
    x = events(2, 4, 60, N) if x is None else x
    given = torch.tensor(x).float().transpose(0, 1)
    try:
        graph = export_to_nir(net, given if multi else given[0], **(how or {}))
    except Exception as error:
        print("NOT EXPORTED", name, repr(error)[:300])
        return
    functional.reset_net(net)
    with torch.no_grad():
        out = net(given) if multi else torch.stack([net(step) for step in given])
    record.add(name, graph, x, out.transpose(0, 1).numpy(), **said)


pictures = events(3, 3, 40, 2, 6, 6, share=0.3)
case("if", linear(N, M, 0.2), neuron.IFNode())
case("if_reset", linear(N, M, 0.2), neuron.IFNode(v_reset=0.3))
case("if_reset_below", linear(N, M, 0.2), neuron.IFNode(v_reset=-0.4, v_threshold=0.8))
case("if_dt", linear(N, M, 0.2), neuron.IFNode(v_reset=0.3), how={"dt": 1e-3})
case("lif", linear(N, M, 1.0), neuron.LIFNode(tau=3.0))
case("lif_reset", linear(N, M, 1.0), neuron.LIFNode(tau=3.0, v_reset=-0.5))
case("lif_reset_above", linear(N, M, 0.6), neuron.LIFNode(tau=4.0, v_reset=0.4))
case("lif_no_decay", linear(N, M, 0.3), neuron.LIFNode(tau=5.0, decay_input=False, v_reset=0.25))
case("lif_dt", linear(N, M, 1.0), neuron.LIFNode(tau=3.0, v_reset=0.2), how={"dt": 1e-3}, dt=1e-3)
case(
    "lif_no_decay_dt",
    linear(N, M, 0.3),
    neuron.LIFNode(tau=5.0, decay_input=False),
    how={"dt": 1e-3},
)
case("plif", linear(N, M, 1.0), neuron.ParametricLIFNode(init_tau=4.0, v_reset=0.1))
case("cuba", linear(N, M, 0.2), neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8))
case("cuba_reset", linear(N, M, 0.2), neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8, v_reset=0.3))
case(
    "cuba_dt",
    linear(N, M, 0.2),
    neuron.CUBALIFNode(c_decay=0.6, v_decay=0.8, v_reset=-0.2),
    how={"dt": 1e-3},
)
case("millivolts", linear(N, M, 25.0), neuron.LIFNode(tau=4.0, v_threshold=-50.0, v_reset=-65.0))
case(
    "two_layers",
    linear(N, M, 1.0),
    neuron.LIFNode(tau=3.0, v_reset=-0.2),
    linear(M, 5, 1.0, seed=5),
    neuron.IFNode(v_reset=0.2),
)
case("multi", linear(N, M, 1.0), neuron.LIFNode(tau=3.0, v_reset=-0.5), multi=True)
case(
    "conv",
    conv(2, 3, 0.5, padding=1),
    neuron.LIFNode(v_reset=0.2),
    layer.AvgPool2d(2),
    layer.Flatten(),
    linear(27, 5, 1.0, seed=5),
    neuron.LIFNode(),
    x=pictures,
)
case(
    "conv_multi",
    conv(2, 3, 0.5, stride=2),
    neuron.IFNode(v_reset=-0.2),
    layer.Flatten(),
    linear(12, 5, 0.5, seed=5),
    neuron.LIFNode(v_reset=0.1),
    x=pictures,
    multi=True,
)
record.save()
