"""Toy chip: 4-bit weights, one neuron update per clock cycle. A whole target on one page."""

from snnstack.energy import Energy, factor
from snnstack.energy import price as priced
from snnstack.energy.model import Band
from snnstack.energy.performance import Performance
from snnstack.errors import CapacityError, Problem, raise_if_any
from snnstack.quant.numerics import Numerics
from snnstack.simple import NetworkProgram, emit, emulate, load  # noqa: F401
from toychip.machine import run  # noqa: F401

NUMERICS = Numerics(
    weight_bits=4, weight_min=-7, weight_max=7, decay_bits=12, decay_rounding="toward_zero",
    input_max=2**22, current_max=2**23 - 1, state_max=2**23 - 1,
)  # fmt: skip


def neurons_fit_the_chip(program):
    """The chip has room for all neurons."""
    needed, available = utilization(program)["neurons"]
    if needed > available:
        what = f"needs {needed} neurons, {available} available"
        yield Problem(f"board {program.board.name}", what, "choose a larger board")


RULES = (neurons_fit_the_chip,)


def compile(network, board):
    program = NetworkProgram(network, board)
    raise_if_any(CapacityError, (problem for rule in RULES for problem in rule(program)))
    return program


def utilization(program):
    neurons = sum(population.n for population in program.network.populations)
    return {"neurons": (neurons, program.board.capacity["neurons"].value)}


def describe(program):
    return "the toy chip's simulator"


def price(program, trace, period_s=None):
    updates = float(sum(counts.updates.mean() for counts in trace.counts.values()))
    seconds = updates / program.board.clock.value
    energy = Energy((priced("updates", "dynamic", updates, factor(program.board, "update_pj")),))
    return Performance(Band(seconds, seconds, seconds), energy, "updates counted")
