"""What spyx computes from the networks that it exports.

Environment: jax, flax, nir, `pip install --no-deps spyx==1.0.0`.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from record import Record, events
from spyx import nn
from spyx.nir import to_nir

N, M = 6, 8
record = Record("spyx", ("spyx", "flax", "jax", "nir", "numpy"))


def draw(seed: int, shape: Any, centre: float, width: float) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(centre, width, shape), jnp.float32)


def linear(n: int, m: int, gain: float, bias: bool = True, seed: int = 0) -> Any:
    made = nnx.Linear(n, m, use_bias=bias, rngs=nnx.Rngs(0))
    made.kernel[...] = draw(seed, (n, m), 0.3 * gain, gain)
    if bias:
        made.bias[...] = draw(seed + 1, (m,), 0.0, 0.2 * gain)
    return made


def conv(n: int, m: int, gain: float, bias: bool = False, **kinds: Any) -> Any:
    made = nnx.Conv(n, m, (3, 3), use_bias=bias, rngs=nnx.Rngs(0), **kinds)
    made.kernel[...] = draw(7, made.kernel[...].shape, 0.3 * gain, gain)
    if bias:
        made.bias[...] = draw(8, (m,), 0.0, 0.2 * gain)
    return made


def with_(layer: Any, **values: Any) -> Any:
    for name, value in values.items():
        getattr(layer, name)[...] = jnp.asarray(value, jnp.float32)
    return layer


def betas(seed: int, n: Any = M) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 0.95, n)


def case(name: str, *layers: Any, x: Any = None, out: Any = None, dt: float = 1, **said: Any):
    """`x` [sample, step, *shape] with maps as NIR has them; spyx has the channel last."""
    net = nn.Sequential(*layers)
    x = events(2, 4, 60, N) if x is None else x
    last = np.moveaxis(x, 2, -1) if x.ndim == 5 else x
    got, _ = nn.run(net, jnp.asarray(last, jnp.float32), batch_major=True)
    got = np.asarray(got)
    got = np.moveaxis(got, -1, 2) if got.ndim == 5 else got
    shapes = {"input": np.array(x.shape[2:])}, {"output": np.array(got.shape[2:])}
    try:
        graph = to_nir(net, *shapes, dt=dt)
    except Exception as error:
        print("NOT EXPORTED", name, repr(error)[:300])
        return
    record.add(name, graph, x, got, **said)


# fmt: off
r = nnx.Rngs(1)
case("if", linear(N, M, 0.2), nn.IF((M,)))
case("if_threshold", linear(N, M, 0.2, bias=False), nn.IF((M,), threshold=1.7))
case("lif", linear(N, M, 0.3), with_(nn.LIF((M,), rngs=r), beta=betas(1)))
case("lif_no_bias", linear(N, M, 0.3, bias=False), with_(nn.LIF((M,), rngs=r), beta=betas(1)))
case("lif_one_beta", linear(N, M, 0.3), nn.LIF((M,), beta=0.8, threshold=0.8, rngs=r))
case("lif_dt", linear(N, M, 0.3), with_(nn.LIF((M,), rngs=r), beta=betas(1)), dt=1e-3)
case("cuba", linear(N, M, 0.15),
     with_(nn.CuBaLIF((M,), rngs=r), alpha=betas(2), beta=betas(1)))
case("rif", linear(N, M, 0.2), with_(nn.RIF((M,), rngs=r), recurrent_w=draw(9, (M, M), -0.1, 0.3)))
case("rlif", linear(N, M, 0.3),
     with_(nn.RLIF((M,), rngs=r), beta=betas(1), recurrent_w=draw(9, (M, M), -0.1, 0.3)))
case("rlif_no_bias", linear(N, M, 0.3, bias=False),
     with_(nn.RLIF((M,), rngs=r), beta=betas(1), recurrent_w=draw(9, (M, M), -0.1, 0.3)))
case("rcuba", linear(N, M, 0.15),
     with_(nn.RCuBaLIF((M,), rngs=r), alpha=betas(2), beta=betas(1),
           recurrent_w=draw(9, (M, M), -0.05, 0.1)))
case("two_layers", linear(N, M, 0.3), with_(nn.LIF((M,), rngs=r), beta=betas(1)),
     linear(M, 5, 0.6, seed=5), with_(nn.LIF((5,), rngs=r), beta=betas(3, 5)))
case("parallel", linear(N, M, 0.2), with_(nn.PSU_LIF((M,), rngs=r), beta=betas(1)))
case("parallel_then_lif", linear(N, M, 0.2), with_(nn.PSU_LIF((M,), rngs=r), beta=betas(1)),
     linear(M, 5, 0.4, seed=5), with_(nn.LIF((5,), rngs=r), beta=betas(3, 5)))
pictures = events(3, 3, 40, 2, 6, 6, share=0.3)
case("conv", conv(2, 3, 0.3, padding="VALID"), nn.IF((4, 4, 3)),
     nn.SumPool((2, 2), (2, 2), "VALID"), nn.Flatten(), linear(12, 5, 0.3, seed=5), nn.IF((5,)),
     x=pictures)
case("conv_same", conv(2, 3, 0.3), with_(nn.LIF((6, 6, 3), rngs=r), beta=betas(4, (6, 6, 3))),
     nn.Flatten(), linear(108, 5, 0.2, seed=5), with_(nn.LIF((5,), rngs=r), beta=betas(3, 5)),
     x=pictures)
case("conv_same_stride", conv(2, 3, 0.3, strides=2), nn.IF((3, 3, 3)), x=pictures,
     refused="SAME")
case("conv_bias", conv(2, 3, 0.3, bias=True, padding="VALID"), nn.IF((4, 4, 3)), x=pictures,
     refused="bias=False")
case("flatten_first", nn.Flatten(), linear(72, 5, 0.1, seed=5), nn.IF((5,)), x=pictures)
record.save()
