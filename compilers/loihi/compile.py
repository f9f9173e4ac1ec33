"""Compile: an integer network, or one in chip units, becomes a program placed on a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.as_graph import DT
from snnstack.backends.loihi.limits import Limits, limits_of
from snnstack.backends.loihi.network import (
    ChipNetwork,
    Connection,
    Cuba,
    Programmed,
    depths,
    same_place,
)
from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.proof import may_wrap
from snnstack.backends.loihi.report import chip_registers
from snnstack.backends.loihi.rules import CHIP_RULES, NETWORK_RULES
from snnstack.board import Board
from snnstack.compilers.loihi.layout import cut_shapes, layout
from snnstack.compilers.loihi.memory import wire
from snnstack.compilers.loihi.network import chip_network
from snnstack.compilers.loihi.programmed import neuron_memory
from snnstack.compilers.loihi.relays import with_relays
from snnstack.errors import ModelError, raise_if_any
from snnstack.ir.matrix import from_matrix, matrix
from snnstack.ir.nodes import Array, EventKind, Shape
from snnstack.ir.step import Conv, Projection, size
from snnstack.mapping.partition import Wire
from snnstack.quant.network import QuantizedNetwork


def compile(network: QuantizedNetwork, board: Board) -> Program:
    """The program of `network` on `board`.

    Raises ModelError for what the chip cannot express, and CapacityError with limit,
    population, and the amounts needed and available for what does not fit.
    """
    raise_if_any(ModelError, (p for rule in NETWORK_RULES for p in rule(network, board)))
    limits = limits_of(board)
    port = network.inputs[0]
    count = int(network.settings.get("input_counts", {}).get(port.name, 1))
    chip = with_relays(chip_network(network, limits), count)
    _check(chip)
    program = _program(
        chip,
        _wires(chip, network.projections, limits),
        board,
        name=str(network.settings.get("name", "network")),
        dt=network.dt,
        scales={p.name: p.scale for p in network.populations},
        events=port.events,
        settings={**network.settings, **chip.settings, **_wrapping(network, chip, count)},
    )
    return replace(program, input_count=count)


def _wrapping(network: QuantizedNetwork, chip: ChipNetwork, count: int) -> dict[str, Any]:
    """`registers` as the chip has them: constants that go through synapses need room in u."""
    registers = dict(network.settings.get("registers", {}))
    for name in may_wrap(chip, count):
        if registers.get(name, {}).get("current_wraps") == "cannot happen":
            registers[name] = {**registers[name], "current_wraps": "not expected"}
    return {"registers": registers} if registers else {}


def compile_chip(
    network: ChipNetwork, board: Board, name: str = "network", dt: float = 1e-3
) -> Program:
    """The program of a network that is in chip units already; scales are 1.

    Raises ModelError and CapacityError as `compile` does.
    """
    _check(network)
    limits = limits_of(board)
    return _program(
        network,
        _wires(network, (), limits),
        board,
        name=name,
        dt=dt,
        scales={
            p.name: np.ones(p.n) for p in network.populations if isinstance(p, Cuba | Programmed)
        },
        events="count",
        settings=dict(network.settings),
    )


def compile_model(network: ChipNetwork, board: Board, name: str, dt: float) -> Program:
    """The program of a network from a file (netx): its registers as they are.

    Populations run behind the input by their number of hops, and a run goes on until the last
    input has come through. Raises ModelError and CapacityError as `compile` does.
    """
    generation = limits_of(board).generation
    timed = network.with_(generation=generation, lag=depths(network))
    program = compile_chip(timed, board, name, dt)
    origin = {"dt": "default" if dt == DT else "option", "reset": "file", "compare": "file"}
    resets = {p.reset for p in network.populations if isinstance(p, Cuba)}
    said = {"reset": ", ".join(sorted(resets))} if resets else {}
    settings = {"name": name, "dt": dt, **said, "compare": "gt", "origin": origin}
    settings["registers"] = {p.name: chip_registers(network, p) for p in network.populations}
    kept = {k: v for k, v in program.settings.items() if k != "netx"}
    return replace(program, settings={**kept, **settings})


def _check(network: ChipNetwork) -> None:
    raise_if_any(ModelError, (p for rule in CHIP_RULES for p in rule(network)))


def _program(
    chip: ChipNetwork,
    wires: Sequence[Wire],
    board: Board,
    *,
    name: str,
    dt: float,
    scales: Mapping[str, Array],
    events: EventKind,
    settings: Mapping[str, Any],
) -> Program:
    cores, placement = layout(chip, wires, limits_of(board), board.name)
    return Program(
        name=name,
        board=board,
        network=chip,
        cores=cores,
        placement=placement,
        dt=dt,
        scales=dict(sorted(scales.items())),
        events=events,
        settings=settings,
    )


def _wires(
    chip: ChipNetwork, projections: Sequence[Projection], limits: Limits
) -> tuple[Wire, ...]:
    """One wire for each projection; connections that come from none are grouped by geometry."""
    found, rest, planes = [], list(chip.connections), cut_shapes(chip)
    for projection in projections:
        stored = [c for c in rest if _holds(c, projection)]
        rest = [c for c in rest if not any(c is s for s in stored)]
        if stored:
            found.append(wire(_in_plane(projection, planes), stored, limits))
    while rest:
        group = [c for c in rest if same_place(c, rest[0])]
        rest = [c for c in rest if not any(c is g for g in group)]
        found.append(wire(_in_plane(_together(group), planes), group, limits))
    own = [p for p in chip.populations if isinstance(p, Programmed)]
    found += [neuron_memory(p, chip.input.name, chip.input.shape) for p in own]
    return tuple(found)


def _in_plane(projection: Projection, planes: Mapping[str, Shape]) -> Projection:
    """Itself; a convolution that sees its target as another shape than its blocks do: sparse."""
    conv = projection.synapses
    if not isinstance(conv, Conv) or conv.out_shape == planes[projection.target]:
        return projection
    listed = from_matrix(matrix(conv, size(conv.out_shape)))
    return replace(projection, synapses=listed)


def _holds(c: Connection, p: Projection) -> bool:
    ends = (c.source, c.target, c.port) == (p.source, p.target, p.port)
    return ends and type(c.synapses) is type(p.synapses) and c.pool is p.pool


def _together(group: Sequence[Connection]) -> Projection:
    """The connections of one geometry as one projection with all of their synapses."""
    first = group[0]
    synapses = first.synapses
    if len(group) > 1:
        used = np.any([c.synapses.weight != 0 for c in group], axis=0)
        synapses = replace(synapses, weight=used.astype(np.int64))
    ends = first.source, first.target
    return Projection(*ends, synapses, first.delay, first.pool, first.port)
