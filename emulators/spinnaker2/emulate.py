"""SpiNNaker 2 on the event engine: what `run_chip` defines, much faster, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.backends.spinnaker2.program import Program
from snnstack.emulators.spinnaker2.counts import count
from snnstack.emulators.spinnaker2.plan import plan, shapes_of
from snnstack.engine.check import port_problems, spikes_problems
from snnstack.engine.order import in_c_order, renumbered
from snnstack.engine.plan import NetworkPlan
from snnstack.engine.tables import Memory
from snnstack.errors import DataError, raise_if_any
from snnstack.trace import Spikes, Trace

Probes = Sequence[tuple[str, str]]


def emulate(
    program: Program,
    spikes: Spikes,
    *,
    seed: int | None = None,
    probes: Probes = (),
    threads: int | None = None,
) -> Trace:
    """What the chip computes for `spikes`, with counts of every element.

    The run goes on without input for as many steps as the last population lags behind it;
    `lag` of the trace says how late each one is. `spikes`, `probes` and `threads` as in
    `emulate_network`. Nothing is random: `seed` changes nothing. Counts are described in
    `snnstack.emulators.spinnaker2.counts`.
    """
    network, port = program.network, program.port
    raise_if_any(DataError, port_problems(port.name, port.shape, port.max_count, spikes))
    drain = max(network.lag.values(), default=0)
    longer = spikes.window(0, spikes.steps + drain)
    trace = emulate_network(network, longer, probes, threads=threads)
    fired = {name: s for name, s in trace.spikes.items() if name in program.fires}
    return Trace(fired, trace.states, count(program, longer, trace), dict(network.lag))


@lru_cache(maxsize=2)
def _prepared(network: ChipNetwork, most: int) -> tuple[NetworkPlan, Memory]:
    """`plan`, kept for the next run of the same network object."""
    return plan(network, most)


def emulate_network(
    network: ChipNetwork,
    spikes: Spikes,
    probes: Probes = (),
    *,
    threads: int | None = None,
) -> Trace:
    """What `snnstack.backends.spinnaker2.reference.run_chip` computes, on exactly these steps.

    `probes`: (population, "v"), and "ie" and "ii" of `lif_curr_exp`; float32 [batch, steps, n]
    in C order. `threads` None: one per processor. Counts are by population, a row of a dense
    connection counts with its zeros. Raises `DataError` for spikes that do not fit, `ModelError`
    for probes that do not exist and for input that could sum to more than 31 bits.
    """
    from snnstack.engine.batch import run

    raise_if_any(DataError, spikes_problems(network.input.name, spikes, network.input.shape))
    most = 1 if spikes.counts is None else int(spikes.counts.max(initial=1))
    made, memory = _prepared(network, most)
    events = renumbered(spikes, memory[network.input.name], (spikes.n,))
    trace = run(made, [events], probes=probes, threads=threads)
    return in_c_order(trace, shapes_of(network), memory)
