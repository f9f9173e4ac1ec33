"""What a microcontroller program can hold: each limit a short rule, its docstring the manual."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from snnstack.backends.mcu.hardware import data_region, memory_bytes
from snnstack.backends.mcu.program import Program
from snnstack.board import Board
from snnstack.errors import Problem
from snnstack.quant.common_rules import learning, silent_sources
from snnstack.quant.network import QuantizedNetwork

MOST_NEURONS = 1 << 22
"""Beyond this no supported board has the RAM."""
MOST_VALUED = 1 << 16


def weights_stay(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """No synapse learns."""
    yield from learning(network, "mcu")


def sources_fire(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """Only populations that fire send anything to others; a non-spiking one is a result."""
    yield from silent_sources(network, "graded events are not supported on this target")


def valued_inputs_are_small_enough(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """An input whose events carry values has at most 2**16 elements: both are one word."""
    port = network.port
    if port.events == "value" and port.n > MOST_VALUED:
        what = f"{port.n} elements that carry values, at most {MOST_VALUED}"
        yield Problem(port.name, what, "inputs with fewer elements")


def populations_are_small_enough(network: QuantizedNetwork, board: Board) -> Iterator[Problem]:
    """A population has at most 2**22 neurons."""
    for population in network.populations:
        if population.n > MOST_NEURONS:
            what = f"{population.n} neurons, at most {MOST_NEURONS}"
            yield Problem(population.name, what, "split the population")


def flash_holds_weights_and_code(program: Program) -> Iterator[Problem]:
    """Weights and code fit the board's flash."""
    available, _ = memory_bytes(program.board)
    memory = program.memory
    if memory["flash"] > available:
        what = (
            f"needs {memory['flash']} bytes of flash ({memory['weights']} weights, "
            f"{memory['code']} code), {available} available"
        )
        yield Problem(f"board {program.board.name}", what, "choose a larger board")


def ram_holds_state_and_stack(program: Program) -> Iterator[Problem]:
    """State and stack fit one of the board's memories."""
    memory = program.memory
    available = data_region(program.board, memory["ram"]).bytes
    if memory["ram"] > available:
        what = (
            f"needs {memory['ram']} bytes of RAM ({memory['state']} state, "
            f"{memory['stack']} stack), {available} available"
        )
        yield Problem(f"board {program.board.name}", what, "choose a larger board")


NETWORK_RULES: tuple[Callable[[QuantizedNetwork, Board], Iterator[Problem]], ...] = (
    weights_stay,
    sources_fire,
    valued_inputs_are_small_enough,
    populations_are_small_enough,
)
PROGRAM_RULES: tuple[Callable[[Program], Iterator[Problem]], ...] = (
    flash_holds_weights_and_code,
    ram_holds_state_and_stack,
)
RULES = (*NETWORK_RULES, *PROGRAM_RULES)
