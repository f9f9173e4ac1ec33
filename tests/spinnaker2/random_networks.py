"""Random networks in chip units: every application, all kinds of synapses, awkward numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from snnstack.backends.spinnaker2.network import (
    Application,
    ChipInput,
    ChipNetwork,
    ChipPopulation,
    Connection,
)
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Sparse, Synapses, size
from snnstack.trace import Spikes

APPLICATIONS: tuple[Application, ...] = (
    "lif", "lif_no_delay", "lif_curr_exp", "lif_curr_exp_no_delay", "lif_conv2d",
)  # fmt: skip
Shape3 = tuple[int, int, int]


@st.composite
def networks(draw: Any, application: Application | None = None) -> ChipNetwork:
    """One to three populations, recurrent or not; `application` for all, or any for each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    entry = ChipInput("in", image(rng))
    kinds = [application or str(rng.choice(APPLICATIONS)) for _ in range(rng.integers(1, 4))]
    shapes: dict[str, tuple[int, ...]] = {"in": entry.shape}
    populations, connections = [], []
    for k, kind in enumerate(kinds):
        shape = image(rng) if kind == "lif_conv2d" or rng.random() < 0.3 else (int(rng.integers(1, 9)),)
        shapes[f"p{k}"] = shape
        populations.append(population(rng, f"p{k}", shape, kind))
    for p in populations:
        for source in rng.permutation(list(shapes))[: rng.integers(1, 4)]:
            connections.append(connection(rng, str(source), p, shapes[str(source)]))
    return ChipNetwork(entry, tuple(populations), tuple(connections), (populations[-1].name,))


def image(rng: Any) -> Shape3:
    """A small [C, H, W]."""
    c, h, w = rng.integers([1, 3, 3], [4, 7, 7])
    return int(c), int(h), int(w)


def population(rng: Any, name: str, shape: tuple[int, ...], kind: Any) -> ChipPopulation:
    """Parameters that are not sums of powers of two: every operation rounds."""
    n = size(shape)

    def some(low: float, high: float) -> Array:
        return rng.uniform(low, high, n).astype(np.float32)

    currents = kind.startswith("lif_curr_exp")
    return ChipPopulation(
        name, shape, kind, some(0.5, 1.0), some(-1, 3),
        None if rng.random() < 0.1 else some(3, 40), some(-2, 2),
        some(0, 1) if currents else None, some(0, 1) if currents else None,
        "subtract" if rng.random() < 0.5 else "v_reset",
    )  # fmt: skip


def connection(rng: Any, source: str, p: ChipPopulation, before: tuple[int, ...]) -> Connection:
    """Synapses that the application of `p` can hold."""
    delays = p.application in ("lif", "lif_curr_exp")
    limit, delay = (15, int(rng.integers(0, 8))) if delays else (127, 0)
    pool = pooling(rng, before) if len(before) == 3 and rng.random() < 0.5 else None  # type: ignore[arg-type]
    seen = before if pool is None else pool.out_shape
    made: Synapses
    if len(seen) == 3 and len(p.shape) == 3 and rng.random() < 0.8:
        made = conv(rng, seen, p.shape, limit)  # type: ignore[arg-type]
    elif rng.random() < 0.5:
        made = Dense(rng.integers(-limit, limit + 1, (p.n, size(seen))))
    else:
        made = sparse(rng, size(seen), p.n, limit)
    return Connection(source, p.name, made, delay, pool)


def sparse(rng: Any, sources: int, targets: int, limit: int) -> Sparse:
    """Rows with several synapses of both signs to the same neuron."""
    lengths = rng.integers(0, 4, sources)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    target = np.concatenate(
        [np.zeros(0, np.int64), *(np.sort(rng.integers(0, targets, k)) for k in lengths)]
    )
    weight = rng.integers(-limit, limit + 1, len(target))
    return Sparse(indptr, target.astype(np.int32), weight)


def conv(rng: Any, before: Shape3, after: Shape3, limit: int) -> Conv:
    """Any geometry; what it reads outside the map is zero."""
    groups = int(rng.choice([g for g in (1, 2, 3) if before[0] % g == after[0] % g == 0]))
    weight = rng.integers(
        -limit, limit + 1, (after[0], before[0] // groups, *rng.integers(1, 4, 2))
    )
    stride, dilation = rng.integers(1, 3, 2), rng.integers(1, 3, 2)
    padding = rng.integers(0, 3, 2)
    return Conv(weight, before, after, pair(stride), pair(padding), pair(dilation), groups)


def pooling(rng: Any, before: Shape3) -> Pool:
    """A plain pool, or one whose windows overlap."""
    kernel = rng.integers(1, 4, 2)
    plain = rng.random() < 0.5
    stride = kernel if plain else rng.integers(1, 3, 2)
    padding = np.zeros(2, np.int64) if plain else rng.integers(0, 2, 2)
    out = np.maximum((np.array(before[1:]) + 2 * padding - kernel) // stride + 1, 1)
    return Pool(before, (before[0], *pair(out)), pair(kernel), pair(stride), pair(padding))


def pair(values: Any) -> tuple[int, int]:
    """Two plain integers."""
    return int(values[0]), int(values[1])


def spikes_for(network: ChipNetwork, seed: int, batch: int = 2, steps: int = 14) -> Spikes:
    """Mostly single spikes, some counts."""
    rng = np.random.default_rng(seed)
    shape = (batch, steps, *network.input.shape)
    dense = (rng.random(shape) < rng.choice([0.05, 0.3])).astype(np.uint8)
    if rng.random() < 0.3:
        dense *= rng.integers(1, 6, shape).astype(np.uint8)
    return Spikes.from_dense(dense)


def every_probe(network: ChipNetwork) -> list[tuple[str, str]]:
    """All states there are."""
    return [
        (p.name, variable)
        for p in network.populations
        for variable in (("v",) if p.exc_decay is None else ("v", "ie", "ii"))
    ]
