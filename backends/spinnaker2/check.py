"""What a program from a file must satisfy before anything runs it: tables that fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snnstack.backends.spinnaker2.check_kernels import kernel_problems, share_problems
from snnstack.backends.spinnaker2.network import ChipPopulation
from snnstack.backends.spinnaker2.program import (
    INDEX_BITS,
    Element,
    Program,
    RoutingTable,
    Rows,
)
from snnstack.backends.spinnaker2.rules import CHIP_RULES
from snnstack.errors import Problem
from snnstack.ir.nodes import Shape
from snnstack.ir.step import size
from snnstack.saved_networks import chip_problems
from snnstack.saved_settings import setting_problems
from snnstack.saved_tables import AGAIN, Range, array_problems, list_problems, pointer_problems

WORD, KEY = Range(0, 2**16 - 1), Range(0, 2**32 - 1)
PARAMETERS = ("alpha", "i_offset", "threshold", "v_reset", "exc_decay", "inh_decay", "v_init")
LARGEST_CHIP = 2**15
"""Columns or rows of chips, more than any machine has."""
ELEMENT_BITS = 192
"""Elements that one entry of a routing table names, three words of 64."""


def program_problems(program: Program) -> Iterator[Problem]:
    """Everything in `program` that belongs to no network of this board: shapes first."""
    found = tuple(chip_problems(program.network, program.scales, _neuron_problems))
    yield from found
    if found:
        return
    yield from (problem for rule in CHIP_RULES for problem in rule(program.network))
    wrong = list(_element_problems(program))
    yield from wrong
    if not wrong:
        yield from _map_problems(program)
    for table in program.tables:
        yield from _table_problems(table)
    yield from setting_problems(program.settings)


def _neuron_problems(p: ChipPopulation) -> Iterator[Problem]:
    if (p.exc_decay is None) != (p.inh_decay is None):
        yield Problem(p.name, "has one of two synaptic decays", AGAIN)
    for name in PARAMETERS:
        yield from array_problems(f"{p.name}, {name}", getattr(p, name), (p.n,))


def _element_problems(program: Program) -> Iterator[Problem]:
    shapes = _shapes(program)
    if not program.elements:
        yield Problem("elements", "there are none", AGAIN)
    for number, e in enumerate(program.elements):
        where = f"element {number}"
        if e.number != number or e.population not in shapes:
            yield Problem(where, f"is number {e.number} of {e.population}", AGAIN)
        elif not _is_chip(e.chip) or not 0 <= e.pe < ELEMENT_BITS:
            yield Problem(where, f"stands at {e.pe} of chip {e.chip}", AGAIN)
        else:
            yield from _one_element(program, e, shapes)


def _shapes(program: Program) -> dict[str, Shape]:
    network = program.network
    found = {network.input.name: network.input.shape}
    return found | {p.name: p.shape for p in network.populations}


def _map_problems(program: Program) -> Iterator[Problem]:
    """What elements hold, beside the maps of the network."""
    yield from share_problems(program, _shapes(program))
    for e in program.elements:
        for k, kernel in enumerate(e.kernels):
            yield from kernel_problems(f"element {e.number}, kernel {k}", program, e, kernel)


def _is_chip(chip: tuple[int, int]) -> bool:
    return all(0 <= n <= LARGEST_CHIP for n in chip)


def _one_element(program: Program, e: Element, shapes: Mapping[str, Shape]) -> Iterator[Problem]:
    where, others = f"element {e.number}", Range(0, len(program.elements) - 1)
    shape = shapes[e.population]
    wrong = list(list_problems(f"{where}, neurons", e.neurons, Range(0, size(shape) - 1)))
    yield from wrong
    if not wrong and e.n > 1 << INDEX_BITS:
        yield Problem(where, f"has {e.n} neurons, a key counts to {1 << INDEX_BITS}", AGAIN)
    yield from list_problems(f"{where}, sources", e.sources, others)
    yield from _row_problems(f"{where}, rows", e.rows, others)
    if min((*e.used.values(), e.packets, e.hops, e.lookups), default=0) < 0:
        yield Problem(where, "has counts below 0", AGAIN)


def _row_problems(where: str, rows: Rows, others: Range) -> Iterator[Problem]:
    last = ((others.high + 1) << INDEX_BITS) - 1
    wrong = [
        *list_problems(f"{where}, keys", rows.keys, Range(0, last)),
        *list_problems(f"{where}, words", rows.words, WORD),
    ]
    yield from wrong
    if not wrong:
        yield from pointer_problems(
            f"{where}, starts", rows.starts, len(rows.keys), len(rows.words)
        )


def _table_problems(table: RoutingTable) -> Iterator[Problem]:
    where = f"routing table of chip {table.chip[0]},{table.chip[1]}"
    if not _is_chip(table.chip):
        yield Problem(where, "no machine has such a chip", AGAIN)
    yield from list_problems(f"{where}, keys", table.key, KEY)
    entries = len(table.key) if table.key.ndim else 0
    yield from array_problems(f"{where}, masks", table.mask, (entries,), KEY)
    yield from array_problems(f"{where}, links", table.links, (entries,), Range(0, 63))
    full = Range(0, 2**64 - 1)
    yield from array_problems(f"{where}, elements", table.elements, (entries, 3), full)
