"""What Norse computes from the networks that it exports.

Environment: torch, nir, nirtorch, `pip install --no-deps norse`.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from norse.torch.functional import reset
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.leaky_integrator_box import LIBoxParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.module.iaf import IAFCell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif import LIFCell
from norse.torch.module.lif_box import LIFBoxCell
from norse.torch.module.sequential import SequentialState
from norse.torch.utils.export_nir import to_nir
from record import Record, events

N, M = 6, 8
record = Record("norse", ("norse", "nirtorch", "nir", "torch", "numpy"))


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
    made.bias.data = torch.tensor(np.random.default_rng(8).normal(0, 0.2, m) * gain).float()
    return made


def t(value: Any) -> Any:
    return torch.as_tensor(value, dtype=torch.float32)


def random(low: float, high: float, n: int = M, seed: int = 1) -> Any:
    return t(np.random.default_rng(seed).uniform(low, high, n))


def run(net: Any, x: Any) -> Any:
    state, out = None, []
    with torch.no_grad():
        for step in range(x.shape[1]):
            got, state = net(torch.tensor(x[:, step]).float(), state)
            out.append(got.numpy())
    return np.stack(out, axis=1)


def case(name: str, *layers: Any, x: Any = None, net: Any = None, how: Any = None, **said: Any):
    net = SequentialState(*layers) if net is None else net
    x = events(2, 4, 60, N) if x is None else x
    graph = to_nir(net, torch.tensor(x[:1, 0]).float(), **(how or {}))
    record.add(name, graph, x, run(net, x), **said)


def params(kind: Any, p: Any) -> Any:
    """All as tensors, of one shape: nir asks for it."""
    first = kind()
    names = [n for n in kind._fields if n not in ("alpha", "method", "reset_method")]
    values = {n: t(p.get(n, getattr(first, n))) for n in names}
    shape = max((v.shape for v in values.values()), key=len)
    rest = {n: p[n] for n in ("reset_method",) if n in p}
    return kind(**{n: v.expand(shape).clone() for n, v in values.items()}, **rest)


def lif(**p: Any) -> Any:
    return LIFCell(params(LIFParameters, p))


def box(**p: Any) -> Any:
    return LIFBoxCell(params(LIFBoxParameters, p))


def iaf(**p: Any) -> Any:
    return IAFCell(params(IAFParameters, p))


def readout(**p: Any) -> Any:
    return LIBoxCell(params(LIBoxParameters, p))


def singles() -> None:
    """With nir 1.0.4 and nirtorch 1.0, the last that write Norse's single numbers."""
    case("lif", linear(N, M, 0.3), lif())
    case("lif_no_bias", linear(N, M, 0.3, bias=False), lif())
    case(
        "lif_times",
        linear(N, M, 0.4),
        lif(
            tau_syn_inv=random(80, 400),
            tau_mem_inv=random(40, 200, seed=2),
            v_th=random(0.5, 1.5, seed=3),
        ),
    )
    case("lif_leak", linear(N, M, 0.4), lif(v_leak=-0.5, v_th=0.7))
    case("lif_leaks", linear(N, M, 0.3), lif(v_leak=random(-0.4, 0.3), v_th=1.0))
    case("box", linear(N, M, 1.5), box())
    case(
        "box_times",
        linear(N, M, 2.0),
        box(tau_mem_inv=random(50, 250), v_th=random(0.4, 1.0, seed=3)),
    )
    case("box_leak", linear(N, M, 2.0), box(v_leak=0.2, v_th=0.6))
    case(
        "box_millivolts",
        linear(N, M, 25.0),
        box(v_leak=-70.0, v_th=-50.0, v_reset=-70.0),
        refused="v_reset",
    )
    case(
        "box_from_leak",
        linear(N, M, 25.0),
        box(v_leak=-70.0, v_th=-50.0, v_reset=-70.0),
        reset="zero",
    )
    case("iaf", linear(N, M, 0.2), iaf())
    case("iaf_thresholds", linear(N, M, 0.2), iaf(v_th=random(0.5, 2.0)))
    case("two_layers", linear(N, M, 0.6), lif(), linear(M, 5, 1.0, seed=5), lif(tau_mem_inv=200.0))
    case(
        "box_then_readout",
        linear(N, M, 1.5),
        box(),
        linear(M, 5, 0.5, seed=5),
        readout(tau_mem_inv=50.0),
    )
    case(
        "readout_leak",
        linear(N, M, 1.5),
        box(),
        linear(M, 5, 0.5, seed=5),
        readout(tau_mem_inv=50.0, v_leak=0.3),
        rest=0.3,
    )
    slow = {"tau_mem_inv": 0.8, "v_th": 0.05}  # as of the main branch with 1.25 ms
    case("slow", linear(N, M, 10.0), box(**slow), claims="--dt 1e-6", differs=True)
    case("slow_said", linear(N, M, 10.0), box(**slow), dt=1e-6)
    case("subtract", linear(N, M, 1.5), box(reset_method=reset.reset_subtract), reset="subtract")
    case("box_reset", linear(N, M, 1.5), box(v_reset=-0.3), claims="v_reset", differs=True)
    case("dt_said", linear(N, M, 1.5), box(), how={"dt": 1e-4}, dt=1e-7)


def maps() -> None:
    """With nir 1.0.8 and nirtorch 2.6."""
    record.tool = "norse_maps"
    pictures = events(3, 3, 40, 2, 6, 6, share=0.3)
    many = random(0.8, 1.2, 48).reshape(3, 4, 4)
    case(
        "conv_box",
        conv(2, 3, 1.0),
        box(v_th=many),
        conv(3, 4, 6.0, stride=2, padding=1),
        box(v_th=torch.ones(4, 2, 2)),
        x=pictures,
    )
    case("conv_lif", conv(2, 3, 0.2), lif(v_th=many), x=pictures)
    case("conv_leak", conv(2, 3, 1.0), box(v_leak=0.1 * many), x=pictures)
    case("iaf_maps", conv(2, 3, 0.2), iaf(v_th=many), x=pictures)
    case(
        "box_scalar_maps",
        conv(2, 3, 1.0),
        box(),
        conv(3, 4, 6.0, stride=2, padding=1),
        box(),
        x=pictures,
    )
    case("box", linear(N, M, 1.5), box(v_th=random(0.8, 1.2)))
    case("lif_scalars", linear(N, M, 0.3), lif())


singles() if version("nir") == "1.0.4" else maps()
record.save()
