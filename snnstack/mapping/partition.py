"""Partition: cut every population into blocks so that no core is asked for more than it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from snnstack.errors import CapacityError, Problem, raise_if_any
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, Projection, size
from snnstack.mapping.blocks import Blocks, cut
from snnstack.mapping.reach import pairs

ROUNDS = 60
"""Every round makes at least one population's blocks smaller; real networks need a few."""


@dataclass(frozen=True)
class Amount:
    """Of every resource of a core, what is used or available; None: without limit.

    `inputs`: (source, core) pairs that arrive; `outputs`: those that leave.
    """

    neurons: int | None
    inputs: int | None
    outputs: int | None
    memory_bytes: int | None


RESOURCES = tuple(f.name for f in fields(Amount))


@dataclass(frozen=True)
class Wire:
    """One projection and what it costs.

    `list_bytes(lengths, targets)`: bytes of synapse lists of `lengths` synapses into blocks of
    `targets` neurons; `block_bytes(blocks)`: bytes that every block needs once.
    """

    projection: Projection
    list_bytes: Callable[[Array, Array], Array]
    block_bytes: Callable[[Blocks], Array]


@dataclass(frozen=True, eq=False)
class Usage:
    """What every block of a population uses: int64 [block], by resource."""

    neurons: Array
    inputs: Array
    outputs: Array
    memory_bytes: Array


@dataclass(frozen=True, eq=False)
class Partition:
    """Blocks and usage by population."""

    blocks: Mapping[str, Blocks]
    usage: Mapping[str, Usage]


def partition(
    shapes: Mapping[str, Shape], wires: Sequence[Wire], limits: Amount, resources: Mapping[str, str]
) -> Partition:
    """The populations in `shapes` cut into blocks that respect `limits`.

    `resources` names each resource of `Amount` as the user knows it. Raises CapacityError for
    every neuron (or patch) that alone exceeds a limit, with population, resource and numbers.
    """
    tiled = {w.projection.target for w in wires if isinstance(w.projection.synapses, Conv)}
    most = {name: min(size(s), limits.neurons or size(s)) for name, s in shapes.items()}
    blocks: dict[str, Blocks] = {}
    arriving: dict[str, Usage] = {}
    changed = list(shapes)
    for _ in range(ROUNDS):
        for name in changed:
            blocks[name] = cut(shapes[name], most[name], name in tiled and len(shapes[name]) == 3)
            entering = [w for w in wires if w.projection.target == name]
            arriving[name] = _arriving(blocks[name], entering)
        usage = _with_outputs(blocks, arriving, wires)
        changed = [n for n in shapes if _excess(usage[n], limits) > 1.0 and most[n] > 1]
        if not changed:
            break
        for name in changed:
            most[name] = _smaller(most[name], blocks[name], _excess(usage[name], limits))
    raise_if_any(CapacityError, _problems(usage, limits, resources))
    return Partition(blocks, usage)


def _smaller(most: int, blocks: Blocks, excess: float) -> int:
    """Blocks overlap in what they share: step down less than the excess asks for."""
    largest = min(most, int(blocks.sizes().max(initial=1)))
    return max(min(int(largest * excess**-0.75), largest - 1), 1)


def _excess(usage: Usage, limits: Amount) -> float:
    """The largest share of a limit that a block uses."""
    shares = [
        float(getattr(usage, name).max(initial=0)) / getattr(limits, name)
        for name in RESOURCES
        if getattr(limits, name) is not None
    ]
    return max(shares, default=0.0)


def _arriving(blocks: Blocks, wires: Sequence[Wire]) -> Usage:
    """Usage of the blocks of one population, without what leaves them."""
    sizes = blocks.sizes()
    inputs, memory = np.zeros(blocks.count, dtype=np.int64), np.zeros(blocks.count, dtype=np.int64)
    for wire in wires:
        memory += wire.block_bytes(blocks)
        for found in pairs(wire.projection, blocks):
            inputs += np.bincount(found.block, minlength=blocks.count)
            if wire.projection.pool is None:
                memory += _bytes(wire, found.block, found.length, sizes)
        if wire.projection.pool is not None:  # all sources in a window share one list
            for found in pairs(replace(wire.projection, pool=None), blocks):
                memory += _bytes(wire, found.block, found.length, sizes)
    return Usage(sizes, inputs, np.zeros_like(inputs), memory)


def _bytes(wire: Wire, block: Array, length: Array, sizes: Array) -> Array:
    cost = wire.list_bytes(length, sizes[block]).astype(np.float64)
    return np.bincount(block, cost, minlength=len(sizes)).astype(np.int64)


def copies(blocks: Mapping[str, Blocks], wires: Sequence[Wire], n: int, source: str) -> Array:
    """Number of blocks that each of the `n` elements of `source` reaches: int64 [n]."""
    total = np.zeros(n, dtype=np.int64)
    for wire in wires:
        if wire.projection.source == source:
            for found in pairs(wire.projection, blocks[wire.projection.target]):
                total += np.bincount(found.source, minlength=n)
    return total


def _with_outputs(
    blocks: Mapping[str, Blocks], arriving: Mapping[str, Usage], wires: Sequence[Wire]
) -> dict[str, Usage]:
    found = {}
    for name, own in blocks.items():
        sent = copies(blocks, wires, int(own.sizes().sum()), name).astype(np.float64)
        outputs = np.bincount(own.of_neurons(), sent, minlength=own.count).astype(np.int64)
        found[name] = replace(arriving[name], outputs=outputs)
    return found


def _problems(
    usage: Mapping[str, Usage], limits: Amount, resources: Mapping[str, str]
) -> list[Problem]:
    found = []
    for name, used in usage.items():
        for resource in RESOURCES:
            available, values = getattr(limits, resource), getattr(used, resource)
            if available is not None and values.max(initial=0) > available:
                block = int(values.argmax())
                what = (
                    f"block {block} of {int(used.neurons[block])} neurons needs "
                    f"{int(values[block]):,} {resources[resource]}, a core has {available:,}"
                )
                hint = "a single neuron cannot be divided: reduce its connections"
                found.append(Problem(name, what, hint))
    return found
