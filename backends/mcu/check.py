"""What a program from a file must satisfy before anything runs it: tables that fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.program import (
    ConvTable,
    DenseTable,
    Golden,
    InputPort,
    Layer,
    Program,
    Route,
    SparseTable,
)
from snnstack.backends.mcu.rules import MOST_VALUED
from snnstack.errors import Problem
from snnstack.ir.step import size
from snnstack.saved_networks import neuron_problems
from snnstack.saved_neurons import cell_problems, written_problems
from snnstack.saved_settings import setting_problems
from snnstack.saved_tables import (
    AGAIN,
    LARGEST_DELAY,
    Range,
    array_problems,
    conv_problems,
    list_problems,
    list_problems_of,
    name_problems,
    pool_problems,
    scale_problems,
)

WIDTHS = (16, 32)
"""Fraction bits of a decay."""
WEIGHT = Range(-128, 127)


def program_problems(program: Program) -> Iterator[Problem]:
    """Everything in `program` that the firmware would read or write outside of an array."""
    port, layers = program.input, program.layers
    inputs = [part.name for part in program.inputs]
    shapes = {part.name: part.shape for part in program.inputs}
    shapes |= {layer.name: layer.shape for layer in layers}
    names = [layer.name for layer in layers]
    wrong = [*name_problems(inputs, shapes, names, program.outputs), *_parts_problems(program)]
    yield from wrong
    if wrong:
        return
    sizes = {name: size(shape) for name, shape in shapes.items()}
    history = {part.name: part.history for part in program.inputs}
    history |= {layer.name: layer.history for layer in layers}
    both: tuple[InputPort | Layer, ...] = (port, *program.parts, *layers)
    for one in both:
        yield from _order_problems(one)
    for number, layer in enumerate(layers):
        wrong = [*written_problems(layer), *_port_problems(layer)]
        yield from wrong
        if layer.is_lif and not wrong:
            yield from neuron_problems(layer, NUMERICS.decay_bits, Range(), WIDTHS)
        elif not wrong:
            yield from cell_problems(layer)
        now = {*inputs, *names[:number]}
        for route in layer.routes:
            yield from _route_problems(route, layer, sizes, history, now)
    yield from scale_problems(program.scales, sizes)
    yield from _rest_problems(program)
    yield from setting_problems(program.settings)


def _parts_problems(program: Program) -> Iterator[Problem]:
    """Several inputs that are not what enters by one door."""
    port, parts = program.input, program.parts
    if not parts:
        return
    alike = all((part.max_count, part.values) == (port.max_count, port.values) for part in parts)
    if (
        not alike
        or port.order != "c"
        or sum(size(part.shape) for part in parts) != size(port.shape)
    ):
        yield Problem(port.name, "is not the door of the network's inputs", AGAIN)


def _port_problems(layer: Layer) -> Iterator[Problem]:
    if layer.neurons.n != layer.n or layer.neurons.number != "int32":
        what = f"holds {layer.neurons.n} neurons of {layer.neurons.number}"
        yield Problem(layer.name, what, AGAIN)
    for route in layer.routes:
        if not 0 <= route.port < len(layer.model.inputs):
            where = f"{route.source} to {layer.name}"
            yield Problem(where, f"ends in input {route.port} of {layer.model.name}", AGAIN)


def _order_problems(one: InputPort | Layer) -> Iterator[Problem]:
    if one.order == "hwc" and not one.shape:
        yield Problem(one.name, "has no channels to put last", AGAIN)
    if not 0 <= one.history <= LARGEST_DELAY + 1:
        yield Problem(one.name, f"keeps {one.history} steps", AGAIN)


def _route_problems(
    route: Route,
    layer: Layer,
    sizes: Mapping[str, int],
    history: Mapping[str, int],
    now: set[str],
) -> Iterator[Problem]:
    """A route from nowhere, from events that nobody keeps, or with tables of others."""
    where = f"{route.source} to {layer.name}"
    if route.source not in sizes:
        yield Problem(where, "is no route of this program", AGAIN)
        return
    kept = max(1, history[route.source])
    # What fires later in the step has not yet replaced the oldest events that it keeps.
    low, high = (0, kept - 1) if route.source in now else (1, kept)
    if not low <= route.delay <= high:
        yield Problem(where, f"reads {route.delay} steps ago, {kept} are kept", AGAIN)
    sources = sizes[route.source]
    if route.pool is not None:
        wrong = list(pool_problems(where, route.pool, sources))
        yield from wrong
        if wrong:
            return
        sources = size(route.pool.out_shape)
    yield from _table_problems(where, route, sources, layer.n)


def _table_problems(where: str, route: Route, sources: int, targets: int) -> Iterator[Problem]:
    table, weight = route.table, route.table.weight
    bits = (8, 16, 32) if isinstance(table, SparseTable) else ()
    if table.bits not in (8, 4, 2, 1, *bits):
        yield Problem(where, f"has weights of {table.bits} bits", AGAIN)
        return
    within = WEIGHT if table.bits <= 8 else Range(-(1 << table.bits - 1), (1 << table.bits - 1) - 1)
    match table:
        case DenseTable():
            yield from array_problems(where, weight, (sources, targets), within)
        case SparseTable():
            yield from list_problems_of(where, table, sources, targets, within)
        case ConvTable():
            if weight.ndim != 4:
                yield Problem(where, f"weights have shape {weight.shape}", AGAIN)
                return
            yield from array_problems(where, weight, weight.shape, within)
            joined = (weight.shape[0], weight.shape[3] * table.groups)
            yield from conv_problems(where, table, weight.shape[1:3], joined)
            if (size(table.in_shape), size(table.out_shape)) != (sources, targets):
                yield Problem(where, f"is no convolution of {sources} to {targets}", AGAIN)


def _rest_problems(program: Program) -> Iterator[Problem]:
    if program.input.values and size(program.input.shape) > MOST_VALUED:
        yield Problem(program.input.name, "is too large for events with values", AGAIN)
    if not 1 <= program.input.max_count <= (1 if program.input.values else 255):
        yield Problem(program.input.name, f"takes counts up to {program.input.max_count}", AGAIN)
    for name in ("flash", "ram", "stack"):
        if program.memory.get(name, -1) < 0:
            yield Problem("memory", f"says nothing of {name}", AGAIN)
    if program.golden is not None:
        yield from _golden_problems(program, program.golden)


def _golden_problems(program: Program, golden: Golden) -> Iterator[Problem]:
    steps = len(golden.events)
    elements = Range(0, size(program.input.shape) - 1)
    for t, events in enumerate(golden.events):
        numbers = events & 0xFFFF if program.input.values else events
        yield from list_problems(f"golden events of step {t}", numbers, elements)
    counts = (steps, len(program.layers))
    yield from array_problems("golden spikes", golden.spikes, counts, Range(0))
    yield from array_problems("golden checksums", golden.checksum, (steps,), Range(0, 2**32 - 1))
