"""What a program from a file must satisfy before anything runs it: tables that fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snnstack.backends.loihi.legal import STATE_MAX
from snnstack.backends.loihi.limits import limits_of
from snnstack.backends.loihi.network import ChipPopulation, Cuba, Programmed
from snnstack.backends.loihi.program import Placement, Program
from snnstack.backends.loihi.rules import CHIP_RULES
from snnstack.door import shown
from snnstack.errors import Problem
from snnstack.ir.step import size
from snnstack.saved_networks import chip_problems
from snnstack.saved_neurons import cell_problems, written_problems
from snnstack.saved_settings import setting_problems
from snnstack.saved_tables import AGAIN, INT32, Range, array_problems

USED = ("compartments", "input_axons", "output_axons", "synaptic_memory_bytes")
TRAVEL = ("messages", "hops_x", "hops_y")


def program_problems(program: Program) -> Iterator[Problem]:
    """Everything in `program` that belongs to no network of this board: shapes first."""
    found = tuple(_shape_problems(program))
    yield from found
    if not found:
        yield from (problem for rule in CHIP_RULES for problem in rule(program.network))


def _shape_problems(program: Program) -> Iterator[Problem]:
    network = program.network
    wrong = list(chip_problems(network, program.scales, _neuron_problems))
    yield from wrong
    if not wrong:
        sizes = {network.input.name: size(network.input.shape)}
        yield from _place_problems(program, sizes | {p.name: p.n for p in network.populations})
        yield from setting_problems(program.settings)
        ports = {p.name: p.ports for p in network.populations}
        for c in network.connections:
            if c.port not in ports[c.target]:
                where = f"{c.source} -> {c.target}"
                yield Problem(where, f"ends in no input {shown(c.port)}", AGAIN)
        if program.input_count is not None and program.input_count < 1:
            yield Problem("input_count", f"is {program.input_count}", AGAIN)


def _neuron_problems(p: ChipPopulation) -> Iterator[Problem]:
    if isinstance(p, Programmed):
        wrong = list(written_problems(p))
        yield from wrong or cell_problems(p, STATE_MAX)
        return
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
        elif not all(type(core.used.get(name)) is int and core.used[name] >= 0 for name in USED):
            yield Problem(f"core {core.number}", f"does not count {', '.join(USED)}", AGAIN)


def _one_place(name: str, place: Placement, n: int, cores: Range) -> Iterator[Problem]:
    yield from array_problems(f"{name}, core", place.core, (n,), cores)
    for key in TRAVEL:
        yield from array_problems(f"{name}, {key}", getattr(place, key), (n,), Range(0, INT32))
