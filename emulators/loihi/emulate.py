"""A Loihi program on the event engine: the chip's arithmetic in every spike and register."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipInput, ChipNetwork
from snnstack.backends.loihi.program import Placement, Program
from snnstack.backends.loihi.proof import check_input
from snnstack.backends.loihi.rules import CHIP_RULES
from snnstack.backends.loihi.wraps import KEY, UPDATES, unproven, wraps
from snnstack.emulators.loihi.counts import counted
from snnstack.emulators.loihi.plan import planned
from snnstack.engine.check import spikes_problems
from snnstack.engine.order import in_c_order, renumbered
from snnstack.errors import DataError, ModelError, Problem, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import size
from snnstack.trace import Counts, Spikes, Trace

Probes = Sequence[tuple[str, str]]
LARGEST = 2**31 - 1


def emulate(
    program: Program,
    spikes: Spikes | Array,
    *,
    seed: int | None = None,
    probes: Probes = (),
    threads: int | None = None,
) -> Trace:
    """What `program` computes on `spikes` and `program.drain` empty steps after them.

    `spikes`: a `Spikes`, or integers [batch, step, n] where the input is graded. `probes`:
    (population, "v" or "i"; of sigma-delta neurons "v", act, or "s", what they send; of programmed
    ones any state). A population runs `trace.lag` steps behind the input. Nothing is random: `seed`
    changes nothing.

    DataError for input that the program was not compiled for: a current would wrap.

    Counts are those of the input, of every population, and of every core ("core 3"): synaptic
    operations, updates (active: with a state that is not 0), spikes, messages, hops along
    columns and rows and, of cores, barrier steps; of populations whose current is not proven to
    fit its register also the updates of it, and those that wrapped.
    """
    check_input(program, spikes)
    cores = {name: place.core.astype(np.int64) for name, place in program.placement.items()}
    events = _events(program.network.input, spikes, program.drain)
    watched = unproven(program) if isinstance(events, Spikes) else ()
    every = dict.fromkeys([*probes, *((name, "i") for name in watched)])
    trace = _run(program.network, events, list(every), threads, cores, program.placement)
    counts = _with_wraps(program, trace, events, watched)
    states = {probe: trace.states[probe] for probe in probes}
    return Trace(trace.spikes, states, counts, dict(program.lag))


def _with_wraps(
    program: Program, trace: Trace, events: Any, watched: Sequence[str]
) -> dict[str, Counts]:
    """The counts of a run with the updates of u that wrapped, where that is not excluded."""
    counts, sent = dict(trace.counts), {program.network.input.name: events, **trace.spikes}
    for name in watched:
        u = trace.states[name, "i"]
        every = np.full(len(u), u[0].size, dtype=np.int64)
        more = {KEY: wraps(program.network, name, sent, u), UPDATES: every}
        counts[name] = replace(counts[name], other={**counts[name].other, **more})
    return counts


def emulate_network(
    network: ChipNetwork,
    spikes: Spikes | Array,
    probes: Probes = (),
    *,
    threads: int | None = None,
) -> Trace:
    """`network` on exactly the steps of `spikes`, as `run_chip` defines it; counts included.

    Raises `DataError` for input that does not fit, or that drives a sigma-delta neuron to send
    more than 32 bits, and `ModelError` for registers out of range and for unknown probes.
    """
    raise_if_any(ModelError, (p for rule in CHIP_RULES for p in rule(network)))
    cores = {p.name: np.zeros(p.n, dtype=np.int64) for p in network.populations}
    return _run(network, _events(network.input, spikes, 0), probes, threads, cores, {})


def _run(
    network: ChipNetwork,
    events: Spikes,
    probes: Probes,
    threads: int | None,
    cores: Mapping[str, Array],
    placement: Mapping[str, Placement],
) -> Trace:
    from snnstack.engine.batch import run

    port = network.input
    found = planned(network, events.values is not None, cores if placement else {})
    given = renumbered(events, found.memory[port.name], (events.n,))
    firing = {p.name for p in network.populations if p.fires}
    ran = run(found.plan, [given], probes=probes, threads=threads)
    busy = {k: c.other["active"] for k, c in ran.counts.items() if "active" in c.other}
    trace = in_c_order(ran, found.shapes, found.memory)
    sent = {name: fired.per_neuron() for name, fired in trace.spikes.items()}
    sent[port.name] = events.per_neuron()
    for p in network.populations:
        sent.setdefault(p.name, np.zeros((events.batch, p.n), dtype=np.int64))
    counts = counted(network, sent, busy, events.steps, cores, placement)
    spikes = {name: fired for name, fired in trace.spikes.items() if name in firing}
    return Trace(spikes, trace.states, counts)


def _events(port: ChipInput, spikes: Spikes | Array, drain: int) -> Spikes:
    """`spikes`, checked, and `drain` empty steps."""
    if isinstance(spikes, Spikes):
        raise_if_any(DataError, spikes_problems(port.name, spikes, port.shape))
        return spikes.window(0, spikes.steps + drain) if drain else spikes
    values = np.asarray(spikes)
    raise_if_any(DataError, _value_problems(port, values))
    padded = np.pad(values.astype(np.int64), ((0, 0), (0, drain), (0, 0)))
    return Spikes.carrying(padded)


def _value_problems(port: ChipInput, values: Any) -> Iterator[Problem]:
    n = size(port.shape)
    if values.ndim != 3 or values.shape[2] != n:
        yield Problem(port.name, f"values have shape {values.shape}, not (batch, steps, {n})")
    if values.dtype.kind not in "biu":
        yield Problem(port.name, f"values are {values.dtype}, not integers")
    elif values.size and not -LARGEST - 1 <= int(values.min()) <= int(values.max()) <= LARGEST:
        yield Problem(port.name, f"values are not within {-LARGEST - 1}..{LARGEST}")
