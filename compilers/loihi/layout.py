"""Where everything goes: a network in chip units onto the cores of a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from snnstack.backends.loihi.limits import Limits
from snnstack.backends.loihi.network import ChipNetwork
from snnstack.backends.loihi.program import CoreImage, Placement
from snnstack.errors import CapacityError, fail
from snnstack.ir.nodes import Array
from snnstack.ir.step import size
from snnstack.mapping.blocks import Blocks
from snnstack.mapping.partition import Amount, Partition, Wire, partition
from snnstack.mapping.place import Cores, Mesh, pack, positions
from snnstack.mapping.route import travel

RESOURCES = {
    "neurons": "compartments",
    "inputs": "input_axons",
    "outputs": "output_axons",
    "memory_bytes": "synaptic_memory_bytes",
}
"""The names of `Amount`'s resources on this chip."""


def layout(
    network: ChipNetwork, wires: Sequence[Wire], limits: Limits, board: str
) -> tuple[tuple[CoreImage, ...], dict[str, Placement]]:
    """Cores and placement. Raises CapacityError: which limit, which population, which core."""
    amount = Amount(
        limits.compartments, limits.input_axons, limits.output_axons, limits.synaptic_memory_bytes
    )
    shapes = {p.name: p.shape for p in network.populations}
    words = {key: name.replace("_", " ") for key, name in RESOURCES.items()}
    parts = partition(shapes, wires, amount, words)
    core, used = pack(parts, amount)
    mesh = Mesh(limits.chips, limits.tiles, limits.cores_per_tile, limits.cores_per_chip)
    if len(used) > mesh.cores:
        raise _too_many(board, len(used), mesh, parts, amount)
    where = positions(len(used), mesh)
    placement = _placement(network, wires, parts.blocks, core, where)
    return _images(parts.blocks, core, used, where), placement


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
        f"needs {needed:,} cores, {mesh.cores:,} available; {name} takes {blocks.count:,} with "
        f"{int(usage.neurons.max(initial=0)):,} neurons each, limited by {tightest}"
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
    for name, n in sizes.items():
        own = core[name][blocks[name].of_neurons()] if name in blocks else None
        way = travel(name, n, own, wires, blocks, core, where)
        cores = np.full(n, -1) if own is None else own
        found[name] = Placement(cores.astype(np.int32), way.messages, way.hops_x, way.hops_y)
    return found


def _images(
    blocks: Mapping[str, Blocks],
    core: Mapping[str, Array],
    used: Sequence[Mapping[str, int]],
    where: Cores,
) -> tuple[CoreImage, ...]:
    neurons: list[dict[str, int]] = [{} for _ in used]
    for name, numbers in core.items():
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
        for i, uses in enumerate(used)
    )
