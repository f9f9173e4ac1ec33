"""Loihi on the event engine: what `run_chip` defines, much faster, and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, SigmaDelta
from snnstack.backends.loihi.program import Program
from snnstack.emulators.loihi.counts import by_population, counted, part_of
from snnstack.emulators.loihi.plan import plan, shapes_of
from snnstack.engine.check import spikes_problems
from snnstack.engine.graded import GradedEvents
from snnstack.engine.order import in_c_order, renumbered
from snnstack.errors import DataError, Problem, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import size
from snnstack.trace import Counts, Spikes, Trace

Events = Spikes | GradedEvents
Probes = Sequence[tuple[str, str]]
INT32 = np.iinfo(np.int32)


def emulate(
    program: Program,
    spikes: Spikes | Array,
    *,
    seed: int = 0,
    probes: Probes = (),
    threads: int | None = None,
) -> Trace:
    """What the chip computes for `spikes`, with counts of every population and every core.

    The run goes on for `program.drain` steps without input, so that the last input reaches
    every population; `lag` of the trace says how late each one is. `spikes`, `probes` and
    `threads` as in `emulate_network`. Nothing is random: `seed` changes nothing. Counts are
    described in `snnstack.emulators.loihi.counts`; those of core 3 stand under "core 3".
    """
    network = program.network
    events = _drained(_events(network, spikes), program.drain)
    trace = _run(network, events, probes, threads, part_of(program))
    return _visible(network, trace, counted(program, events, trace), program.lag)


def emulate_network(
    network: ChipNetwork,
    spikes: Spikes | Array,
    probes: Probes = (),
    *,
    threads: int | None = None,
) -> Trace:
    """What `snnstack.backends.loihi.reference.run_chip` computes, on exactly these steps.

    `spikes` in C order of the input's shape: a `Spikes`, or integers [batch, step, n] for
    graded input. `probes` are (population, variable): "v" and "i" of `Cuba`, "s" of
    `SigmaDelta`; recorded in C order as int32 [batch, steps, n]. `threads` None: one per
    processor. Counts are by population. Raises `DataError` for input that does not fit and
    where a sent value leaves 32 bits, `ModelError` for registers and probes that do not exist.
    """
    trace = _run(network, _events(network, spikes), probes, threads, {})
    return _visible(network, trace, by_population(trace.counts), {})


def _run(
    network: ChipNetwork,
    events: Events,
    probes: Probes,
    threads: int | None,
    parts: Mapping[str, Array],
) -> Trace:
    """The engine's run in C order: events of all populations that send, counts by part."""
    from snnstack.engine.batch import run

    made, memory = plan(network, isinstance(events, GradedEvents), parts)
    index, flat = memory[network.input.name], (events.n,)
    given: Events
    if isinstance(events, GradedEvents):
        given = renumbered(events, index, flat)
    else:
        given = renumbered(events, index, flat)
    trace = run(made, [given], probes=probes, threads=threads)
    return in_c_order(trace, shapes_of(network), memory)


def _visible(
    network: ChipNetwork, trace: Trace, counts: Mapping[str, Counts], lag: Mapping[str, int]
) -> Trace:
    """Spikes of the populations whose events carry no values."""
    graded = {p.name for p in network.populations if isinstance(p, SigmaDelta)}
    spikes = {name: fired for name, fired in trace.spikes.items() if name not in graded}
    return Trace(spikes, trace.states, counts, lag)


def _events(network: ChipNetwork, spikes: Spikes | Array) -> Events:
    """The input as events in C order; integers of 0 and 1 become spikes."""
    port = network.input
    if isinstance(spikes, Spikes):
        raise_if_any(DataError, spikes_problems(port.name, spikes, port.shape))
        return spikes
    raise_if_any(DataError, _value_problems(network, spikes))
    if spikes.min(initial=0) >= 0 and spikes.max(initial=0) <= 1:
        return Spikes.from_dense(spikes.reshape(*spikes.shape[:2], *port.shape))
    return GradedEvents.from_dense(spikes)


def _value_problems(network: ChipNetwork, values: Array) -> Iterator[Problem]:
    port = network.input
    n = size(port.shape)
    if values.ndim != 3 or values.shape[2] != n:
        yield Problem(port.name, f"values have shape {values.shape}, not (batch, steps, {n})")
    if values.dtype.kind not in "iub":
        yield Problem(port.name, f"values are {values.dtype}, not integers")
    elif values.size and not INT32.min <= values.min() <= values.max() <= INT32.max:
        yield Problem(port.name, f"values are not within {INT32.min}..{INT32.max}")


def _drained(events: Events, steps: int) -> Events:
    """`steps` empty steps after the last of every sample."""
    per_step = np.diff(events.indptr).reshape(events.batch, events.steps)
    longer = np.pad(per_step, ((0, 0), (0, steps)))
    indptr = np.concatenate([[0], np.cumsum(longer, dtype=np.int64)])
    return replace(events, steps=events.steps + steps, indptr=indptr)
