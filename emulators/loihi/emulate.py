"""Loihi on the event engine: what `run_chip` defines, much faster, and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, SigmaDelta
from snnstack.backends.loihi.program import Program
from snnstack.emulators.loihi.counts import count
from snnstack.emulators.loihi.plan import plan, shapes_of
from snnstack.engine.check import spikes_problems
from snnstack.engine.graded import GradedEvents
from snnstack.engine.order import Index, in_c_order, renumbered
from snnstack.errors import DataError, Problem, fail, raise_if_any
from snnstack.ir.nodes import Array
from snnstack.ir.step import size
from snnstack.trace import Spikes, Trace

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
    cores = {name: place.core for name, place in program.placement.items()}
    events = _drained(_events(network, spikes), program.drain)
    parts = {p.name: cores[p.name] for p in network.populations if p.name in cores}
    trace = _run(network, events, probes, threads, parts)
    counts = count(program, _in_c_order(network, events), trace)
    return _visible(network, trace, counts, program.lag)


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
    counts = {
        name: replace(c, other={"active": c.other["active"].sum(axis=1)})
        for name, c in trace.counts.items()
    }
    return _visible(network, trace, counts, {})
