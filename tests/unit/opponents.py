"""Networks of a given shape, as the opponent's tests take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.ir.step import Conv, Dense, Pool, Population, Projection, StepGraph, StepInput, lif
from snnstack.quant.opponent import Opponent, opponent_of, with_arrays
from snnstack.quant.opponent_int8 import Int8Opponent, quantise_opponent


def population(name: str, *shape: int) -> Population:
    one, zero = np.ones(int(np.prod(shape))), np.zeros(int(np.prod(shape)))
    return lif(name, tuple(shape), one, None, one, one, zero, zero, one, zero)


def graph(
    shape: tuple[int, ...], populations: list[Population], *projections: Projection
) -> StepGraph:
    return StepGraph(
        (StepInput("in", shape, "binary"),), tuple(populations), projections,
        (populations[-1].name,), 1e-3,
    )  # fmt: skip


def chain(*sizes: int, **first: Any) -> StepGraph:
    """Dense layers `a`, `b`, ...; `first`: fields of the first projection."""
    names = ["in", *"abcd"[: len(sizes) - 1]]
    projections = [
        Projection(names[k], names[k + 1], Dense(np.zeros((sizes[k + 1], sizes[k]))))
        for k in range(len(sizes) - 1)
    ]
    projections[0] = Projection("in", "a", projections[0].synapses, **first)
    populations = [population(name, n) for name, n in zip(names[1:], sizes[1:], strict=True)]
    return graph((sizes[0],), populations, *projections)


def maps() -> StepGraph:
    """Convolution in groups, stride and border; a pool; a dense layer; another one."""
    conv = Conv(np.zeros((6, 2, 3, 2)), (4, 7, 6), (6, 4, 4), (2, 1), (1, 0), (1, 2), 2)
    pool = Pool((6, 4, 4), (6, 2, 2), (2, 2), (2, 2), (0, 0))
    return graph(
        (4, 7, 6),
        [population("a", 6, 4, 4), population("b", 9), population("c", 5)],
        Projection("in", "a", conv),
        Projection("a", "b", Dense(np.zeros((9, 24))), pool=pool),
        Projection("b", "c", Dense(np.zeros((5, 9)))),
    )


def random(network: StepGraph, seed: int = 0, windows: int | None = None) -> Opponent:
    """The opponent with random real weights and biases."""
    net = opponent_of(network, windows)
    rng = np.random.default_rng(seed)
    return with_arrays(
        net,
        [
            (rng.normal(size=x.synapses.weight.shape), rng.normal(size=x.bias.shape))
            for x in net.layers
        ],
    )


def int8(
    network: StepGraph, seed: int = 0, windows: int | None = None
) -> tuple[Int8Opponent, np.ndarray[Any, np.dtype[np.int64]]]:
    """A random opponent in integers, and frames for it."""
    net = random(network, seed, windows)
    frames = np.random.default_rng(seed + 1).integers(0, 30, (20, net.inputs))
    return quantise_opponent(net, frames, 29), frames
