"""Compile: an integer network becomes levels of cells, converter settings and a tile map."""

from __future__ import annotations

from dataclasses import replace

from snnstack.backends.crossbar.coding import Coding, cells, coding
from snnstack.backends.crossbar.device import device_of
from snnstack.backends.crossbar.hardware import (
    CrossbarHardware,
    array_shape,
    hardware,
    rows_at_once,
)
from snnstack.backends.crossbar.program import Block, Cell, Program, Route
from snnstack.backends.crossbar.ranges import assumed, lossless
from snnstack.backends.crossbar.rules import FIT_RULES, NETWORK_RULES, PROGRAM_RULES
from snnstack.board import Board
from snnstack.compilers.crossbar.lower import Limits, Piece, pieces
from snnstack.compilers.crossbar.place import place
from snnstack.errors import CapacityError, ModelError, raise_if_any
from snnstack.ir.step import Pool, Projection
from snnstack.quant.network import QuantizedNetwork


def compile(network: QuantizedNetwork, board: Board) -> Program:
    """The program of `network` on `board`.

    Raises ModelError for what the target cannot express and CapacityError, with what is needed
    and available, for what does not fit. Converter ranges are for assumed activity until
    `calibrate` fits them to data.
    """
    raise_if_any(ModelError, (p for rule in NETWORK_RULES for p in rule(network, board)))
    raise_if_any(CapacityError, (p for rule in FIT_RULES for p in rule(network, board)))
    program = _program(network, board)
    raise_if_any(CapacityError, (p for rule in PROGRAM_RULES for p in rule(program)))
    return program


def _program(network: QuantizedNetwork, board: Board) -> Program:
    machine = hardware(board)
    code = coding(machine, network.numerics.weight_bits)
    limits = Limits(
        rows_at_once(board), code.outputs(array_shape(board)[1]), machine.convolution
    )  # fmt: skip
    cell = cell_of(board, code)
    routes = tuple(_route(network, p, limits, code, machine) for p in network.projections)
    routes, arrays = _placed(routes, array_shape(board)[0])
    return Program(
        name=str(network.settings.get("name", "network")),
        board=board,
        input=network.inputs[0],
        populations=network.populations,
        routes=routes,
        coding=code,
        cell=cell,
        arrays=arrays,
        outputs=network.outputs,
        dt=network.dt,
        settings=network.settings,
    )


def cell_of(board: Board, code: Coding) -> Cell:
    """What the levels of a board's cells mean."""
    device = device_of(board)
    return Cell(device.range.low, device.range.high, code.levels)


def _route(
    network: QuantizedNetwork,
    projection: Projection,
    limits: Limits,
    code: Coding,
    machine: CrossbarHardware,
) -> Route:
    targets = network.population(projection.target).n
    most = _largest_count(network, projection)
    found = [
        _block(piece, code, machine, max(1, min(most, 2**machine.dac_bits - 1)))
        for piece in pieces(projection, targets, limits)
    ]
    return Route(
        source=projection.source,
        target=projection.target,
        delay=projection.delay,
        most=most,
        dac_bits=machine.dac_bits,
        blocks=tuple(found),
        pool=projection.pool,
    )


def _largest_count(network: QuantizedNetwork, projection: Projection) -> int:
    """The largest count that an element of the (pooled) source can have in a step."""
    ports = {port.name: port.max_count for port in network.inputs}
    each = ports.get(projection.source, 1)
    return each * (1 if projection.pool is None else _window(projection.pool))


def _window(pool: Pool) -> int:
    return pool.kernel[0] * pool.kernel[1]


def _block(piece: Piece, code: Coding, machine: CrossbarHardware, most: int) -> Block:
    levels = cells(code, piece.weight)
    settings = (levels, code, piece.weight.shape[1], most)
    fitted = lossless(*settings) if machine.adc_bits == 0 else assumed(*settings, machine.adc_bits)
    return Block(0, 0, levels, piece.gather, piece.scatter, fitted)


def _placed(routes: tuple[Route, ...], rows: int) -> tuple[tuple[Route, ...], int]:
    """The routes with their blocks placed, and how many arrays that takes."""
    where = place([b.rows for r in routes for b in r.blocks], rows)
    found, first = [], 0
    for route in routes:
        mine = where[first : first + len(route.blocks)]
        first += len(mine)
        pairs = zip(route.blocks, mine, strict=True)
        blocks = tuple(replace(block, array=p.array, row=p.row) for block, p in pairs)
        found.append(replace(route, blocks=blocks))
    return tuple(found), 1 + max((p.array for p in where), default=-1)
