"""What a program for SpiNNaker 2 can hold: each limit a short rule, its docstring the manual."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from snnstack.backends.spinnaker2.limits import limits_of
from snnstack.backends.spinnaker2.network import MAX_DELAY, ChipNetwork
from snnstack.backends.spinnaker2.numerics import WEIGHT_WITH_DELAY, WEIGHT_WITHOUT_DELAY
from snnstack.backends.spinnaker2.program import Program
from snnstack.board import Board
from snnstack.errors import Problem
from snnstack.ir.step import Conv, Pool, StepGraph
from snnstack.mapping.retime import retime
from snnstack.quant.network import QuantizedNetwork

Network = StepGraph | QuantizedNetwork


def chip_delays(network: Network) -> tuple[int, ...]:
    """The steps, beyond the one of every hop, that each projection must wait on the chip."""
    names = [p.name for p in network.populations]
    return retime([network.inputs[0].name], names, network.projections).delay


def convolves(network: Network, name: str) -> bool:
    """Whether a population runs as `lif_conv2d`: no synaptic current, only convolutions enter."""
    population = next(p for p in network.populations if p.name == name)
    into = network.into(name)
    return population.beta is None and bool(into) and all(isinstance(p.synapses, Conv) for p in into)


def needs_delays(network: Network) -> set[str]:
    """Populations whose synapse words need the delay field, which leaves 4 bits for a weight.

    A delay that is a multiple of 8 is left to relays altogether, and so is every delay before
    a `lif_conv2d`, which has no delays.
    """
    pairs = zip(network.projections, chip_delays(network), strict=True)
    found = {p.target for p, delay in pairs if delay % (MAX_DELAY + 1)}
    return {name for name in found if not convolves(network, name)}


def the_network_has_one_input(network: Network, board: Board) -> Iterator[Problem]:
    """The network has exactly one input."""
    names = ", ".join(port.name for port in network.inputs)
    if len(network.inputs) != 1:
        what = f"{len(network.inputs)} inputs ({names}), programs for SpiNNaker 2 have 1"
        yield Problem("network", what, "join them into one input")


def sources_fire(network: Network, board: Board) -> Iterator[Problem]:
    """Only populations that fire send anything to others; a non-spiking one is a result."""
    silent = {p.name for p in network.populations if p.threshold is None}
    for projection in network.projections:
        if projection.source in silent:
            what = f"does not fire but feeds {projection.target}"
            yield Problem(projection.source, what, "graded packets are not supported yet")


def neurons_have_no_refractory_period(network: Network, board: Board) -> Iterator[Problem]:
    """Neurons can fire again in the next step: the applications have no refractory period."""
    for p in network.populations:
        if p.threshold is not None and p.refractory:
            what = f"refractory period of {p.refractory} steps, the neuron programs have none"
            yield Problem(p.name, what, "set it to 0 and train again, or use a reset below 0")


def pools_are_plain(network: Network, board: Board) -> Iterator[Problem]:
    """A sum pool's windows lie side by side: kernel equals stride, no padding."""
    for projection in network.projections:
        pool = projection.pool
        if pool is not None and not plain(pool):
            what = f"sum pool of kernel {pool.kernel}, stride {pool.stride}, padding {pool.padding}"
            yield Problem(str(projection), what, "use a kernel equal to the stride, padding 0")


def plain(pool: Pool) -> bool:
    """Whether every element lies in at most one window."""
    return pool.kernel == pool.stride and pool.padding == (0, 0)


def relayed_inputs_are_binary(network: Network, board: Board) -> Iterator[Problem]:
    """An input that must wait longer than 7 steps carries single spikes: relays do not count."""
    if len(network.inputs) != 1 or network.inputs[0].max_count == 1:
        return
    for p, delay in zip(network.projections, chip_delays(network), strict=True):
        relayed = delay > MAX_DELAY or (delay and convolves(network, p.target))
        if p.source == network.inputs[0].name and relayed:
            what = f"must wait {delay} steps in relays, but may carry more than one spike per step"
            yield Problem(str(p), what, "declare the input binary: --events binary")


def delays_need_few_relays(network: Network, board: Board) -> Iterator[Problem]:
    """Relays for long delays take at most as many neurons as the board has."""
    limits = limits_of(board)
    sizes = {p.name: p.n for p in network.populations}
    sizes |= {port.name: int(np.prod(port.shape, dtype=np.int64)) for port in network.inputs}
    most = limits.total * limits.atoms
    for p, delay in zip(network.projections, chip_delays(network), strict=True):
        relays = delay // (MAX_DELAY + 1)
        if relays * sizes[p.source] > most:
            what = f"a delay of {delay} steps needs {relays} relays of {sizes[p.source]} neurons"
            yield Problem(str(p), f"{what}, the board has {most}", "use a larger time step")


def weights_fit_the_synapse_word(network: ChipNetwork) -> Iterator[Problem]:
    """Weights are -15..15 where synapses have delays, else -127..127."""
    delayed = {p.name for p in network.populations if p.application in ("lif", "lif_curr_exp")}
    for c in network.connections:
        most = WEIGHT_WITH_DELAY if c.target in delayed else WEIGHT_WITHOUT_DELAY
        largest = int(np.abs(c.synapses.weight).max(initial=0))
        if largest > most:
            what = f"weight of magnitude {largest}, at most {most}"
            yield Problem(f"{c.source} -> {c.target}", what, "quantise the network for this board")


def delays_fit_the_synapse_word(network: ChipNetwork) -> Iterator[Problem]:
    """Delays are 0..7, and 0 in the applications without delays."""
    delayed = {p.name for p in network.populations if p.application in ("lif", "lif_curr_exp")}
    for c in network.connections:
        most = MAX_DELAY if c.target in delayed else 0
        if not 0 <= c.delay <= most:
            yield Problem(f"{c.source} -> {c.target}", f"delay of {c.delay} steps, at most {most}")


def elements_hold_their_tables(program: Program) -> Iterator[Problem]:
    """All tables of a processing element fit its data memory."""
    most = limits_of(program.board).data_bytes
    for e in program.elements:
        if e.memory_bytes > most:
            table = max(e.memory, key=lambda name: e.memory[name])
            what = (
                f"needs {e.memory_bytes:,} bytes, {most:,} available; the largest table is "
                f"{table} with {e.memory[table]:,}"
            )
            less = e.memory_bytes - most
            yield Problem(f"element {e.label}", what, f"make its tables {less:,} bytes smaller")


def routing_tables_hold_their_entries(program: Program) -> Iterator[Problem]:
    """A chip's multicast table holds all entries after compression."""
    most = limits_of(program.board).entries
    for table in program.tables:
        if len(table.key) > most:
            what = f"{len(table.key):,} routing entries after compression, {most:,} available"
            hint = f"{len(table.key) - most:,} fewer source blocks must pass this chip"
            yield Problem(f"chip {table.chip[0]},{table.chip[1]}", what, hint)


GRAPH_RULES: tuple[Callable[[Network, Board], Iterator[Problem]], ...] = (
    the_network_has_one_input,
    sources_fire,
    neurons_have_no_refractory_period,
    pools_are_plain,
    relayed_inputs_are_binary,
    delays_need_few_relays,
)
CHIP_RULES: tuple[Callable[[ChipNetwork], Iterator[Problem]], ...] = (
    weights_fit_the_synapse_word,
    delays_fit_the_synapse_word,
)
PROGRAM_RULES: tuple[Callable[[Program], Iterator[Problem]], ...] = (
    elements_hold_their_tables,
    routing_tables_hold_their_entries,
)
RULES = (*GRAPH_RULES, *CHIP_RULES, *PROGRAM_RULES)
