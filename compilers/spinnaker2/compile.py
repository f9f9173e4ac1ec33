"""Compile: a network in chip units becomes elements, keys and routing tables of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snnstack.backends.spinnaker2.delivery import delivery_problems
from snnstack.backends.spinnaker2.image import element_bytes
from snnstack.backends.spinnaker2.limits import Limits, limits_of
from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.backends.spinnaker2.program import Element, Program, RoutingTable
from snnstack.backends.spinnaker2.rules import CHIP_RULES, GRAPH_RULES
from snnstack.board import Board
from snnstack.compilers.spinnaker2.compress import compress
from snnstack.compilers.spinnaker2.network import chip_network
from snnstack.compilers.spinnaker2.pieces import Pieces, pieces, reach
from snnstack.compilers.spinnaker2.place import Places, place
from snnstack.compilers.spinnaker2.relay import relayed
from snnstack.compilers.spinnaker2.route import Routes, route
from snnstack.compilers.spinnaker2.tables import images
from snnstack.errors import CapacityError, ModelError, Problem, raise_if_any
from snnstack.ir.nodes import Array, EventKind
from snnstack.quant.network import QuantizedNetwork

MAX_COUNT = 255
"""Spikes of an input neuron in one step."""


def compile(network: QuantizedNetwork, board: Board) -> Program:
    """The program of `network` on `board`; errors as those of `compile_chip`."""
    raise_if_any(ModelError, (p for rule in GRAPH_RULES for p in rule(network, board)))
    chip = chip_network(network)
    return compile_chip(
        replace(chip, settings={**network.settings, **chip.settings}),
        board,
        str(network.settings.get("name", "network")),
        network.dt,
        events=network.inputs[0].events,
        scales={p.name: p.scale for p in network.populations},
    )


def compile_chip(
    network: ChipNetwork,
    board: Board,
    name: str = "network",
    dt: float = 1e-3,
    *,
    events: EventKind = "count",
    scales: Mapping[str, Array] | None = None,
) -> Program:
    """The program of a network in chip units; scales are 1 unless given.

    Delays that no synapse word holds become relays. Every key is routed through the finished
    tables before the program is returned. Raises ModelError for what the chip cannot express,
    CapacityError for an element, a chip or a machine that is too small.
    """
    limits = limits_of(board)
    network = relayed(network, events == "count")
    raise_if_any(ModelError, (p for rule in CHIP_RULES for p in rule(network)))
    cut = pieces(network, limits, MAX_COUNT if events == "count" else 1)
    sends = reach(network, cut)
    places = place(network, cut, sends, limits, board.name)
    sends = sends[places.piece][:, places.piece]
    sends.sort_indices()
    routes = route(places, sends)
    known = {p.name: np.ones(p.n) for p in network.populations} | dict(scales or {})
    program = Program(
        name=name,
        board=board,
        network=network,
        elements=_elements(network, cut, places, routes),
        tables=_tables(routes, limits),
        dt=dt,
        scales={p.name: known[p.name] for p in network.populations},
        events=events,
        settings=dict(network.settings),
    )
    raise_if_any(ModelError, delivery_problems(program))
    return program


def _elements(
    network: ChipNetwork, cut: Pieces, places: Places, routes: Routes
) -> tuple[Element, ...]:
    names, made = cut.names(), images(network, cut, places.number())
    found = []
    for number, piece in enumerate(places.piece.tolist()):
        image, population = made.pop(number), names[piece]
        column, row = places.chips[places.chip[number]].tolist()
        element = Element(
            number=number,
            chip=(column, row),
            pe=int(places.pe[number]),
            population=population,
            neurons=image.neurons,
            sources=image.sources,
            rows=image.rows,
            kernels=image.kernels,
            wide=cut.wide.get(population, False),
            used={},
            packets=int(routes.packets[number]),
            hops=int(routes.hops[number]),
            lookups=int(routes.lookups[number]),
        )
        found.append(replace(element, used=element_bytes(network, element)))
    return tuple(found)


def _tables(routes: Routes, limits: Limits) -> tuple[RoutingTable, ...]:
    tables = tuple(compress(c, passing, limits.entries) for c, passing in routes.passing.items())
    full = (t for t in tables if len(t.key) > limits.entries)
    raise_if_any(CapacityError, (_table_full(t, routes, limits) for t in full))
    return tables


def _table_full(table: RoutingTable, routes: Routes, limits: Limits) -> Problem:
    passing = len(routes.passing[table.chip].element)
    where = f"routing table of chip {table.chip[0]},{table.chip[1]}"
    what = (
        f"needs {len(table.key):,} entries after compression, {limits.entries:,} are available; "
        f"the packets of {passing:,} elements pass it"
    )
    hint = (
        f"{len(table.key) - limits.entries:,} sending elements fewer would fit: larger elements, "
        "or connections that stay closer together"
    )
    return Problem(where, what, hint)
