"""Random networks in chip units, and when two of them are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from snnstack.backends.loihi.builder import ChipBuilder
from snnstack.backends.loihi.lava_job import matrix
from snnstack.backends.loihi.network import ChipNetwork, Connection, Cuba, SigmaDelta
from snnstack.ir.nodes import Array
from snnstack.ir.step import size


def random_network(rng: np.random.Generator, steps: int = 30) -> tuple[ChipNetwork, Array]:
    """Two populations, dense, sparse or convolutional, recurrent or not, and input for it."""
    image, generation = bool(rng.integers(2)), int(rng.integers(1, 3))
    shape = (2, 5, 6) if image else (int(rng.integers(1, 25)),)
    n = int(rng.integers(1, 20))
    builder = ChipBuilder(generation=generation).input("x", shape)  # type: ignore[arg-type]
    if image:
        stride, padding = int(rng.integers(1, 3)), int(rng.integers(0, 2))
        size_of = [(s + 2 * padding - 3) // stride + 1 for s in shape[1:]]
        groups = int(rng.integers(1, 3))
        first: tuple[int, ...] = (2, *size_of)
        builder.population("a", first, **registers(rng, size(first), generation))
        kernel = 2 * rng.integers(-128, 128, (2, 2 // groups, 3, 3))
        builder.conv(
            "x", "a", kernel, stride=stride, padding=padding, groups=groups, **fine_print(rng)
        )
    else:
        first = (int(rng.integers(1, 20)),)
        builder.population("a", first, **registers(rng, first[0], generation))
        builder.connect("x", "a", weights(rng, first[0], shape[0]), **fine_print(rng))
    builder.population("b", n, **registers(rng, n, generation))
    delay = rng.integers(0, 4, (n, size(first))) if rng.integers(2) else int(rng.integers(0, 63))
    builder.connect("a", "b", weights(rng, n, size(first), dense=True), delay=delay)
    if rng.integers(2):
        builder.connect("b", "b", weights(rng, n, n), **fine_print(rng))
    if rng.integers(2):
        builder.connect("b", "a", weights(rng, size(first), n), **fine_print(rng))
    data = (rng.random((2, steps, *shape)) < rng.choice([0.05, 0.3, 0.8])).astype(np.uint8)
    return builder.build(), data


def registers(rng: np.random.Generator, n: int, generation: int) -> dict[str, Any]:
    """Any values of the registers that a CUBA population has, one for all or one per neuron."""
    many = n if rng.integers(2) else 1

    def pick(low: int, high: int) -> Any:
        return rng.integers(low, high + 1, many) if many > 1 else int(rng.integers(low, high + 1))

    silent = rng.integers(12) == 0
    return {
        "du": pick(0, 4095),
        "dv": pick(0, 4095),
        "vth_mant": None if silent else pick(0, int(rng.choice([30, 2000, 2**17 - 1]))),
        "bias_mant": pick(-4096, 4095) if rng.integers(2) else pick(-20, 20),
        "bias_exp": pick(0, 7),
        "reset": "subtract" if generation == 2 and rng.integers(4) == 0 else "zero",
        "refractory": int(rng.integers(2, 65)) if rng.integers(4) == 0 else 1,
    }


def weights(rng: np.random.Generator, n: int, m: int, dense: bool = False) -> Any:
    """Even stored weights of any sign mode; about half of the time a sparse matrix."""
    low, high = [(-128, 127), (0, 127), (-127, 0)][int(rng.integers(3))]
    found = 2 * rng.integers(low, high + 1, (n, m))
    if dense or rng.integers(2):
        return found
    return sparse.csr_matrix(found * (rng.random((n, m)) < 0.3))


def fine_print(rng: np.random.Generator) -> dict[str, Any]:
    """A weight format and a delay."""
    return {
        "bits": int(rng.integers(1, 9)),
        "exponent": int(rng.choice([0, 0, *range(-8, 8)])),
        "delay": int(rng.choice([0, 0, 1, 5, 62])),
    }


def described(network: ChipNetwork) -> dict[str, Any]:
    """Everything a network computes with, as plain lists: equal if the networks are."""
    found: dict[str, Any] = {
        "generation": network.generation,
        "input": (network.input.shape, network.input.graded),
        "outputs": network.outputs,
    }
    for p in network.populations:
        found[p.name] = _registers(p)
    for c in network.connections:
        found.setdefault(f"{c.source} -> {c.target}", []).append(_synapses(network, c))
    return found


def _registers(p: Cuba | SigmaDelta) -> list[Any]:
    if isinstance(p, SigmaDelta):
        return [p.shape, p.bias.tolist(), p.threshold.tolist(), p.exponent, p.activation]
    threshold = None if p.threshold is None else p.threshold.tolist()
    decays = [p.i_decay.tolist(), p.v_decay.tolist()]
    return [p.shape, *decays, p.bias.tolist(), threshold, p.reset, p.refractory]


def _synapses(network: ChipNetwork, c: Connection) -> list[Any]:
    source = network.input if c.source == network.input.name else network.population(c.source)
    found = matrix(c.synapses, network.population(c.target).n, size(source.shape), c.pool)
    dense = found if isinstance(found, np.ndarray) else found.toarray()
    return [c.delay, c.bits, c.exponent, c.signs, dense.tolist()]
