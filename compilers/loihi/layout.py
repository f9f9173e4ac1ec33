"""Where everything goes: a network in chip units onto the cores of a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnstack.backends.loihi.limits import Limits
from snnstack.backends.loihi.network import ChipNetwork
from snnstack.backends.loihi.program import CoreImage, Placement
from snnstack.errors import CapacityError, fail
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import Conv, size
from snnstack.mapping.blocks import Blocks
from snnstack.mapping.partition import Amount, Partition, Wire, partition
from snnstack.mapping.place import Cores, Mesh, Place, by_layer, interleaved, pack, positions
from snnstack.mapping.route import travel

RESOURCES = {
    "neurons": "compartments",
    "inputs": "input_axons",
    "outputs": "output_axons",
    "memory_bytes": "synaptic_memory_bytes",
}
"""The names of `Amount`'s resources on this chip."""

ORDERS = (by_layer, interleaved)
"""Tried in turn; the one with the fewest hops (all neurons equally busy) is taken."""


@dataclass(frozen=True, eq=False)
class _Laid:
    """One way to place a partition: core of every block, and what follows from it."""

    core: dict[str, Array]
    used: list[dict[str, int]]
    where: Cores
    placement: dict[str, Placement]
    hops: int


def layout(
    network: ChipNetwork, wires: Sequence[Wire], limits: Limits, board: str
) -> tuple[tuple[CoreImage, ...], dict[str, Placement]]:
    """Cores and placement. Raises CapacityError: which limit, which population, which core."""
    amount = Amount(
        limits.compartments, limits.input_axons, limits.output_axons, limits.synaptic_memory_bytes
    )
    shapes = cut_shapes(network)
    words = {key: name.replace("_", " ") for key, name in RESOURCES.items()}
    parts = partition(shapes, wires, amount, words)
    mesh = Mesh(limits.chips, limits.tiles, limits.cores_per_tile, limits.cores_per_chip)
    choices = [_laid(network, wires, parts, order(parts), amount, mesh) for order in ORDERS]
    needed = min(len(laid.used) for laid in choices)
    if needed > mesh.cores:
        raise _too_many(board, needed, mesh, parts, amount)
    best = min((c for c in choices if len(c.used) <= mesh.cores), key=lambda c: c.hops)
    return _images(parts.blocks, best), best.placement


def cut_shapes(network: ChipNetwork) -> dict[str, Shape]:
    """How each population is cut: a plane where a convolution sees it as one, else as it is."""
    found = {p.name: p.shape for p in network.populations}
    for c in reversed(network.connections):
        if isinstance(c.synapses, Conv):
            found[c.target] = c.synapses.out_shape
    return found


def _laid(
    network: ChipNetwork,
    wires: Sequence[Wire],
    parts: Partition,
    order: Sequence[Place],
    amount: Amount,
    mesh: Mesh,
) -> _Laid:
    core, used = pack(parts, order, amount)
    where = positions(len(used), mesh)
    placement = _placement(network, wires, parts.blocks, core, where)
    hops = sum(int(p.hops_x.sum() + p.hops_y.sum()) for p in placement.values())
    return _Laid(core, used, where, placement, hops)


def _too_many(
    board: str, needed: int, mesh: Mesh, parts: Partition, amount: Amount
) -> CapacityError:
    """Names the population with the most cores, and what makes its blocks so small."""
    name, blocks = max(parts.blocks.items(), key=lambda item: item[1].count)
    usage = parts.usage[name]
    shares = {
        words: float(getattr(usage, key).max(initial=0)) / getattr(amount, key)
        for key, words in RESOURCES.items()
        if getattr(amount, key) is not None
    }
    tightest = max(shares, key=lambda key: shares[key]).replace("_", " ")
    what = (
        f"needs {needed} cores, {mesh.cores} available; {name} takes {blocks.count} with "
        f"{int(usage.neurons.max(initial=0))} neurons each, limited by {tightest}"
    )
    error = fail(CapacityError, f"board {board}", what, "choose a larger board")
    assert isinstance(error, CapacityError)
    return error


def _placement(
    network: ChipNetwork,
    wires: Sequence[Wire],
    blocks: Mapping[str, Blocks],
    core: Mapping[str, Array],
    where: Cores,
) -> dict[str, Placement]:
    sizes = {network.input.name: size(network.input.shape)}
    sizes |= {p.name: p.n for p in network.populations}
    found = {}
    for name, n in sorted(sizes.items()):
        own = core[name][blocks[name].of_neurons()] if name in blocks else None
        way = travel(name, n, own, wires, blocks, core, where)
        cores = np.full(n, -1) if own is None else own
        found[name] = Placement(cores.astype(np.int32), way.messages, way.hops_x, way.hops_y)
    return found


def _images(blocks: Mapping[str, Blocks], laid: _Laid) -> tuple[CoreImage, ...]:
    where = laid.where
    neurons: list[dict[str, int]] = [{} for _ in laid.used]
    for name, numbers in laid.core.items():
        for number, count in zip(numbers.tolist(), blocks[name].sizes().tolist(), strict=True):
            neurons[number][name] = neurons[number].get(name, 0) + count
    return tuple(
        CoreImage(
            number=i,
            chip=int(where.chip[i]),
            tile=(int(where.x[i]), int(where.y[i])),
            neurons=neurons[i],
            used={RESOURCES[key]: value for key, value in uses.items()},
        )
        for i, uses in enumerate(laid.used)
    )
