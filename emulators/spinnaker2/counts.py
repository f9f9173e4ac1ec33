"""What every processing element did, from the spikes of a run: events, packets, hops, MACs.

By element ("element 3") and summed by population, int64 [batch] each:

    synops    synaptic events: words of synapse rows, and kernel taps, that arriving spikes met
    updates   neuron updates
    spikes    spikes sent, input elements: events played
    packets   copies of these spikes that were delivered, one for each element reached
    hops      links between chips that they passed
    lookups   chips whose routing tables they were looked up in
    received  packets that arrived
    macs      those of the synaptic events that are kernel taps, zeros included
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.network import ChipNetwork, Connection
from snnstack.backends.spinnaker2.program import Element, Program
from snnstack.ir.matrix import conv_matrix, matrix, pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv
from snnstack.trace import Counts, Spikes, Trace


def count(program: Program, spikes: Spikes, trace: Trace) -> dict[str, Counts]:
    """Counts of all elements of `program` in the run `trace` on `spikes`, in C order."""
    network, elements = program.network, program.elements
    sent = {network.input.name: spikes, **trace.spikes}
    events = {e.number: _of(e, sent, spikes) for e in elements}
    received = {
        e.number: sum((events[int(k)][1] for k in e.sources), np.zeros(spikes.batch, np.int64))
        for e in elements
    }
    reached = _synaptic_events(network, elements, sent, spikes)
    made = {}
    for e in elements:
        all_sent, _ = events[e.number]
        synops, macs = reached[e.number]
        is_input = e.population == network.input.name
        updates = np.full(spikes.batch, 0 if is_input else spikes.steps * e.n, dtype=np.int64)
        other = {
            "packets": all_sent * e.packets,
            "hops": all_sent * e.hops,
            "lookups": all_sent * e.lookups,
            "received": received[e.number],
            "macs": macs,
        }
        made[f"element {e.number}"] = Counts(synops, updates, all_sent, other)
    return _by_population(program, made) | made


def _by_population(program: Program, made: Mapping[str, Counts]) -> dict[str, Counts]:
    """The counts of all elements of the input and of each population together."""
    found: dict[str, Counts] = {}
    for e in program.elements:
        own = made[f"element {e.number}"]
        other = found.get(e.population)
        found[e.population] = own if other is None else _sum(other, own)
    return found


def _sum(a: Counts, b: Counts) -> Counts:
    other = {key: a.other[key] + b.other[key] for key in a.other}
    return Counts(a.synops + b.synops, a.updates + b.updates, a.spikes + b.spikes, other)


def _of(e: Element, sent: Mapping[str, Spikes], spikes: Spikes) -> tuple[Array, Array]:
    """Spikes of an element: all, and those before the last step, which arrive in the run."""
    if e.population not in sent:
        return np.zeros(spikes.batch, np.int64), np.zeros(spikes.batch, np.int64)
    fired = sent[e.population]
    early = fired.window(0, max(fired.steps - 1, 0))
    both = (fired, early)
    here, before = (s.per_neuron()[:, e.neurons].sum(axis=1) for s in both)
    return here, before


def _synaptic_events(
    network: ChipNetwork,
    elements: Iterable[Element],
    sent: Mapping[str, Spikes],
    spikes: Spikes,
) -> dict[int, tuple[Array, Array]]:
    """{element: (synaptic events, of which kernel taps)}, int64 [batch]."""
    import scipy.sparse as sp

    elements = tuple(elements)
    none = np.zeros(spikes.batch, dtype=np.int64)
    found = {e.number: (none, none) for e in elements}
    for p in network.populations:
        own = [e for e in elements if e.population == p.name]
        row = np.repeat(np.arange(len(own)), [e.n for e in own])
        column = np.concatenate([np.zeros(0, np.int64), *(e.neurons for e in own)])
        members = sp.csr_matrix((np.ones(len(row), np.int64), (row, column)), (len(own), p.n))
        for c in network.into(p.name):
            if c.source not in sent:
                continue
            is_kernel = p.application == "lif_conv2d" and isinstance(c.synapses, Conv)
            fan = members @ _synapses(c, p.n, is_kernel)
            arrived = sent[c.source]
            arrived = arrived.window(0, max(arrived.steps - 1 - c.delay, 0))
            done = np.asarray(fan @ arrived.per_neuron().T, dtype=np.int64)
            for e, events in zip(own, done, strict=True):
                synops, macs = found[e.number]
                found[e.number] = synops + events, macs + events if is_kernel else macs
    return found


def _synapses(c: Connection, targets: int, is_kernel: bool) -> Any:
    """[targets, sources]: number of synapses; those of weight 0 only in a kernel."""
    if is_kernel and isinstance(c.synapses, Conv):
        counted: Any = _taps(c.synapses)
    else:
        weight = (np.asarray(c.synapses.weight) != 0).astype(np.int64)
        counted = matrix(replace(c.synapses, weight=weight), targets)
    return counted if c.pool is None else counted @ pool_matrix(c.pool).astype(np.int64)


def _taps(conv: Conv) -> Any:
    """`conv_matrix` with all weights 1, from that of one channel."""
    import scipy.sparse as sp

    (c_out, c_in, *kernel), groups = conv.weight.shape, conv.groups
    plane = replace(
        conv, weight=np.ones((1, 1, *kernel), np.int64), groups=1,
        in_shape=(1, *conv.in_shape[1:]), out_shape=(1, *conv.out_shape[1:]),
    )  # fmt: skip
    channels = np.kron(np.eye(groups, dtype=np.int64), np.ones((c_out // groups, c_in), np.int64))
    return sp.kron(sp.csr_matrix(channels), conv_matrix(plane), format="csr")
