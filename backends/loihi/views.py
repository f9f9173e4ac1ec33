"""Pictures of a program: which cores of which chip are used, and how full they are."""

from __future__ import annotations

from collections import Counter

from snnstack.backends.loihi.limits import Limits, limits_of
from snnstack.backends.loihi.program import CoreImage, Program
from snnstack.report.views import Core, CoreMap, View

SIDE = 2
"""Cores of a tile are drawn in rows of two."""


def views(program: Program) -> tuple[View, ...]:
    """The placement: every router's cores at its place on the mesh."""
    limits = limits_of(program.board)
    rows = -(-limits.cores_per_tile // SIDE)
    columns = limits.tiles[0] * SIDE
    seen: Counter[tuple[int, int]] = Counter()
    cores = []
    for image in program.cores:
        cores.append(_core(image, limits, seen[image.tile]))
        seen[image.tile] += 1
    return (CoreMap("Cores in use", columns, limits.tiles[1] * rows, tuple(cores)),)


def _core(image: CoreImage, limits: Limits, within: int) -> Core:
    """`within`: how many cores of the same tile are used before it."""
    rows = -(-limits.cores_per_tile // SIDE)
    column, row = image.tile[0] % limits.tiles[0], image.tile[1] % limits.tiles[1]
    place = within % limits.cores_per_tile
    available = {
        "compartments": limits.compartments,
        "input_axons": limits.input_axons,
        "output_axons": limits.output_axons,
        "synaptic_memory_bytes": limits.synaptic_memory_bytes,
    }
    used = {
        name: (float(image.used[name]), float(most))
        for name, most in available.items()
        if most is not None
    }
    x, y = column * SIDE + place % SIDE, row * rows + place // SIDE
    return Core(f"core {image.number}", image.chip, x, y, used, dict(image.neurons))
