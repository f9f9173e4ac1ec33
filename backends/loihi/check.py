"""What a program from a file must satisfy before anything runs it: tables that fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.network import ChipPopulation, Cuba
from snnstack.backends.loihi.program import Placement, Program
from snnstack.backends.loihi.rules import CHIP_RULES
from snnstack.errors import Problem
from snnstack.ir.step import size
from snnstack.saved_tables import (
    AGAIN,
    INT32,
    Range,
    array_problems,
    connection_problems,
    name_problems,
    scale_problems,
)

TRAVEL = ("messages", "hops_x", "hops_y")


def program_problems(program: Program) -> Iterator[Problem]:
    """Everything in `program` that belongs to no network of this board: shapes first."""
    found = tuple(_shape_problems(program))
    yield from found
    if not found:
        yield from (problem for rule in CHIP_RULES for problem in rule(program.network))
        yield from _lag_problems(program)


def _shape_problems(program: Program) -> Iterator[Problem]:
    network = program.network
    populations = {p.name: p for p in network.populations}
    shapes = {network.input.name: network.input.shape}
    shapes |= {name: p.shape for name, p in populations.items()}
    names = [p.name for p in network.populations]
    wrong = list(name_problems(network.input.name, shapes, names, network.outputs))
    yield from wrong
    if wrong:
        return
    sizes = {name: size(shape) for name, shape in shapes.items()}
    for p in network.populations:
        yield from _neuron_problems(p)
    for c in network.connections:
        if c.target == network.input.name:
            yield Problem(f"{c.source} to {c.target}", "leads into the input", AGAIN)
        yield from connection_problems(c, sizes)
    yield from scale_problems(program.scales, sizes)
    yield from _place_problems(program, sizes)


def _neuron_problems(p: ChipPopulation) -> Iterator[Problem]:
    names = ["bias", "threshold"]
    names += ["i_decay", "v_decay", "v_init"] if isinstance(p, Cuba) else []
    for name in names:
        yield from array_problems(f"{p.name}, {name}", getattr(p, name), (p.n,), Range())


def _place_problems(program: Program, sizes: Mapping[str, int]) -> Iterator[Problem]:
    """Neurons without a core, on cores that the board does not have."""
    cores = limits_of(program.board).cores
    if program.placement.keys() != sizes.keys():
        yield Problem("placement", "is not one of the input and every population", AGAIN)
        return
    for name, place in program.placement.items():
        low = -1 if name == program.network.input.name else 0
        yield from _one_place(name, place, sizes[name], Range(low, cores - 1))
    for core in program.cores:
        if not 0 <= core.number < cores:
            yield Problem(f"core {core.number}", f"the board has {cores}", AGAIN)


def _one_place(name: str, place: Placement, n: int, cores: Range) -> Iterator[Problem]:
    yield from array_problems(f"{name}, core", place.core, (n,), cores)
    for key in TRAVEL:
        yield from array_problems(f"{name}, {key}", getattr(place, key), (n,), Range(0, INT32))


def _lag_problems(program: Program) -> Iterator[Problem]:
    """Populations that run further behind than spikes can take through all connections."""
    network = program.network
    most = len(network.populations) + sum(1 + c.delay for c in network.connections)
    names = {p.name for p in network.populations}
    for name, steps in network.lag.items():
        if name not in names or not 0 <= steps <= most:
            yield Problem("lag", f"{name}: {steps} steps, at most {most} are possible", AGAIN)
    if program.input_count is not None and program.input_count < 1:
        yield Problem("input_count", f"is {program.input_count}", AGAIN)
