"""Formats of what events carry: as fine as the sums of all receivers allow.

Every source that sends values has a power of two as its unit; sources that end in the same input
of a population have the same one, so that their products add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import traced
from snnstack.errors import ModelError, fail
from snnstack.ir.step import Population, Projection, StepGraph
from snnstack.quant.bounds import input_bounds, max_counts
from snnstack.quant.fixed.formats import fraction_bits, whole_states
from snnstack.quant.fixed.intervals import wider
from snnstack.quant.fixed.plain import number, plain, truth
from snnstack.quant.fixed.record import WORD32, Machine

MARGIN = 0.5
"""How much further than calibrated a value may go, as a share of its range on either side."""
Group = frozenset[str]


@dataclass(frozen=True)
class Payloads:
    """`bits`: fraction bits by source; `spans`: the integers an element can send in a step.

    `ports`: by (population, input), the sources that end there; `whole`: sources of whole numbers.
    `most_bits`: of a payload, without its sign.
    """

    bits: Mapping[str, int]
    spans: Mapping[str, tuple[int, int]]
    ports: Mapping[tuple[str, str], Group]
    whole: Group
    most_bits: int

    def port_bits(self, population: str, port: str) -> int:
        """Fraction bits of what arrives at an input."""
        return max((self.bits.get(s, 0) for s in self.ports[population, port]), default=0)

    def port_whole(self, population: str, port: str) -> bool:
        """Whether all that arrives is whole numbers in real units."""
        return self.ports[population, port] <= self.whole and not self.port_bits(population, port)

    def narrowed(self, source: str, most: int) -> Payloads:
        """The same with what a source is proven to send."""
        return replace(self, spans={**self.spans, source: (-most, most)})

    def width(self, source: str) -> int:
        """Bits of what a source sends, without the sign."""
        return max(self.spans[source]).bit_length() if source in self.spans else self.most_bits


def payloads_of(
    graph: StepGraph,
    weights: Mapping[str, tuple[Projection, ...]],
    ranges: Mapping[str, Mapping[str, Span]],
    machine: Machine = WORD32,
) -> Payloads:
    """Formats for every source of `graph`; `weights`: by target, its integer projections.

    `ranges`: as in `Calibration`. ModelError for values that no format holds.
    """
    ports = {
        (p.name, port): frozenset(x.source for x in graph.into(p.name) if x.port == port)
        for p in graph.populations
        for port in p.model.inputs
    }
    valued = {p.name: p for p in graph.populations if p.model.sends == "value"}
    whole = _whole_sources(graph)
    bits: dict[str, int] = {}
    spans = max_counts(graph.inputs)
    for group in _groups(valued, ports.values()):
        width = min(machine.payload_bits - 1, *_widths(group, graph, weights, machine))
        least = min(_fraction(valued[s], ranges, width, whole) for s in group)
        bits |= dict.fromkeys(group, least)
        spans |= {s: _most(valued[s], ranges, least, width, whole) for s in group}
    spiking = {p.name for p in graph.populations} - set(valued)
    inputs = {port.name for port in graph.inputs}
    known = frozenset(whole | spiking | inputs)
    return Payloads(bits, spans, ports, known, machine.payload_bits - 1)


def _groups(valued: Iterable[str], ports: Iterable[Group]) -> list[Group]:
    """Sources that end somewhere together, directly or by others."""
    groups = [frozenset({name}) for name in valued]
    for port in ports:
        joined = [g for g in groups if g & port]
        if joined:
            groups = [g for g in groups if not g & port] + [frozenset().union(*joined)]
    return groups


def _widths(
    group: Group,
    graph: StepGraph,
    weights: Mapping[str, tuple[Projection, ...]],
    machine: Machine,
) -> Iterator[int]:
    """For every input that the group ends in, payload bits that cannot make a sum too large."""
    yield machine.payload_bits - 1
    for p in graph.populations:
        for port in p.model.inputs:
            part = tuple(x for x in weights.get(p.name, ()) if x.port == port)
            if any(x.source in group for x in part):
                ones = dict.fromkeys((x.source for x in part), (-1, 1))
                most = input_bounds(part, p.n, ones).magnitude
                yield max(1, machine.word - 2 - int(most).bit_length())


def _fraction(
    p: Population, ranges: Mapping[str, Mapping[str, Span]], width: int, whole: set[str]
) -> int:
    span = _span(p, ranges)
    found = fraction_bits(span, width)
    if p.name not in whole:
        return found
    if found < 0:
        what = f"sends whole numbers up to {max(map(abs, span)):g}, {2**width - 1} can be summed"
        raise fail(ModelError, p.name, what, "smaller weights, or fewer of them, leave more room")
    return 0


def _span(p: Population, ranges: Mapping[str, Mapping[str, Span]]) -> Span:
    if p.name not in ranges or "sent" not in ranges[p.name]:
        hint = "give samples: --calibrate DATA, calibrate=..."
        raise fail(ModelError, p.name, "nothing is known of the values that it sends", hint)
    return wider(ranges[p.name]["sent"], MARGIN, across=True)


def _most(
    p: Population,
    ranges: Mapping[str, Mapping[str, Span]],
    bits: int,
    width: int,
    whole: set[str],
) -> tuple[int, int]:
    """As far as the bits go that the range needs, all of them for whole numbers.

    Beyond that a payload saturates.
    """
    if p.name in whole:
        return -(2**width - 1), 2**width - 1
    most = max(map(abs, _span(p, ranges))) * 2.0**bits
    need = max(1, int(np.ceil(most)).bit_length())
    end = 2 ** min(width, need) - 1
    return -end, end


def _whole_sources(graph: StepGraph) -> set[str]:
    """Populations that send whole numbers in real units."""
    found = {p.name for p in graph.populations if p.model.sends == "value"}
    while True:
        kept = {
            p.name for p in graph.populations if p.name in found and _sends_whole(p, graph, found)
        }
        if kept == found:
            return found
        found = kept


def _sends_whole(p: Population, graph: StepGraph, whole: set[str]) -> bool:
    """Whether `p` does, if those in `whole` do."""
    spiking = {x.name for x in graph.populations if x.model.sends != "value"}
    good = whole | spiking | {port.name for port in graph.inputs if port.events != "real"}
    ports = frozenset(
        port
        for port in p.model.inputs
        if all(x.source in good and _integral(x) for x in graph.into(p.name) if x.port == port)
    )
    step = plain(traced(p.neurons))
    states = whole_states(step, p.model.states, p.initial, ports)
    known: dict[int, bool] = {}
    for e in step.nodes:
        if number(e):
            value = np.asarray(e.value if e.op == "const" else step.values[e.value])
            known[id(e)] = bool((value == np.floor(value)).all())
        elif e.op in ("state", "input"):
            known[id(e)] = e.value in (states if e.op == "state" else ports)
        elif truth(e) or e.op == "nearest":
            known[id(e)] = True
        else:
            below = all(known[id(a)] for a in e.args[e.op == "where" :])
            known[id(e)] = below and e.op in ("add", "sub", "mul", "min", "max", "abs", "where")
    return "sent" in step.roots and known[id(step.roots["sent"])]


def _integral(projection: Projection) -> bool:
    weight = projection.synapses.weight
    return bool(np.array_equal(weight, np.rint(weight)))
