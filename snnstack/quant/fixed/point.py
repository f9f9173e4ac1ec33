"""`fixed_point`: a neuron model in real numbers becomes the same model in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.dynamics.expr import E, ordered
from snnstack.dynamics.model import Field, Model, Neurons
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import traced
from snnstack.dynamics.written import listed
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.fixedpoint import round_half_up
from snnstack.quant.fixed.emit import Emitter
from snnstack.quant.fixed.formats import (
    FINER,
    Formats,
    fraction_bits,
    summed_bits,
    whole_states,
)
from snnstack.quant.fixed.integer import Arithmetic, Fix
from snnstack.quant.fixed.intervals import finite, real_spans
from snnstack.quant.fixed.notes import noted
from snnstack.quant.fixed.plain import Plain, plain, truth
from snnstack.quant.fixed.ports import entered, possible
from snnstack.quant.fixed.ranges import chosen_ranges, refuse_clocks
from snnstack.quant.fixed.record import WORD32, Clip, Fixed, Machine
from snnstack.quant.fixed.scale import Scaled, scaled
from snnstack.quant.fixed.slow import SHARE, rest
from snnstack.quant.fixed.useful import EVERYTHING, useful


def fixed_point(
    neurons: Neurons,
    ranges: Mapping[str, Span],
    ports: Mapping[str, Any],
    machine: Machine = WORD32,
    sums: Mapping[str, Span] | None = None,
    sent_bits: int | None = None,
    whole_ports: frozenset[str] = frozenset(),
) -> Fixed:
    """`neurons` (float64) in integers of `machine`.

    `ranges`: as `calibrated` gives them, in real units. `ports`: by input, integers of the
    synaptic sum a real unit, one number or an array [n]. `sums`: by input, the least and the
    largest integer sum there can be, where that is known: then it is not held within a range.
    `sent_bits`: fraction bits of a value that is sent, None: as many as there are. `whole_ports`:
    inputs whose sums are whole numbers in real units too.
    Raises ModelError that names model, operation or state, value and limit.
    """
    step = plain(traced(neurons))
    refuse_clocks(neurons, step, ranges)
    whole = frozenset(whole_states(step, neurons.model.states, neurons.initial, whole_ports))
    s = scaled(neurons, step, ranges, ports)
    bounds = {
        name: possible(name, span, s, s.ranges.get(name, span))
        for name, span in (sums or {}).items()
    }
    known = chosen_ranges(neurons, s.plain, s.ranges, machine.margin, whole, bounds)
    held = _states(neurons, s, known, whole, machine)
    return _Work(neurons, s, known, held, machine, sums or {}, sent_bits).fixed()


SPARE = 4
"""How much further than calibrated a sum must be able to go to be kept exactly."""


def _finite(neurons: Neurons, step: Plain, spans: Mapping[int, Span]) -> None:
    lost = [e for e in step.nodes if not finite(spans[id(e)])]
    if lost:
        what = f"{lost[0].op!r} has an unbounded range: {lost[0]!r} in {spans[id(lost[0])]}"
        hint = "bound its argument with least and most, or calibrate it"
        raise_if_any(ModelError, [Problem(neurons.model.name, what, hint)])


@dataclass(frozen=True)
class _Held:
    """A state in integers: fraction bits, and the limits within which it is kept."""

    bits: int
    low: int
    high: int


def _states(
    neurons: Neurons, s: Scaled, known: Mapping[str, Span], whole: frozenset[str], machine: Machine
) -> dict[str, _Held]:
    found = {}
    for name in neurons.model.states:
        span = known[name]
        exact = summed_bits(s, name, whole)
        far_end = 2 ** (machine.widest_bits - 1) - 1
        if exact is not None and max(map(abs, span)) * 2.0**exact <= far_end / SPARE:
            found[name] = _Held(exact, -far_end, far_end)
            continue
        size = machine.state_bits - 1
        bits = 0 if name in whole else fraction_bits(span, size)
        most = 2**size - 1
        far = rest(s.plain, name) / 2.0**bits
        while far > SHARE * max(map(abs, span)) and size < machine.widest_bits - 1:
            size, bits, far, most = size + 1, bits + 1, far / 2, 2 * most + 1
        if bits == 0 and name in whole and max(map(abs, span)) > most:
            what = f"state {name!r} counts to {max(map(abs, span)):g}, the limit is {most}"
            raise_if_any(ModelError, [Problem(neurons.model.name, what)])
        found[name] = _limits(span, bits, most, name in whole)
    return found


def _limits(span: Span, bits: int, most: int, whole: bool) -> _Held:
    """As far as the bits reach, but not across 0 where the range does not."""
    low, high = (int(round_half_up(end * 2.0**bits)) for end in span)
    if whole:
        return _Held(bits, low, high)
    if low < 0 < high:
        return _Held(bits, -most, most)
    return _Held(bits, -most if low < 0 else low, most if high > 0 else high)


class _Work:
    """The integer step while it is made."""

    def __init__(
        self,
        neurons: Neurons,
        s: Scaled,
        known: Mapping[str, Span],
        held: Mapping[str, _Held],
        machine: Machine,
        sums: Mapping[str, Span],
        sent_bits: int | None,
    ) -> None:
        self.neurons, self.s, self.machine, self.sums = neurons, s, machine, sums
        self.sent_bits = sent_bits
        self.held = held
        self.known = dict(known)
        for name, h in held.items():
            self.known[name] = (h.low / 2.0**h.bits, h.high / 2.0**h.bits)
        self.do = Arithmetic(neurons.model.name, machine.word, machine.product_bits)
        self.clips: list[Clip] = []
        self.sent = (0, 1)

    def fixed(self) -> Fixed:
        """Formats, then operations, then the model."""
        step = self.s.plain
        kept = {name: self.known[name] for name in self.held}
        sent = self.known.get("sent", EVERYTHING)
        caps = useful(step, real_spans(step, self.known), kept, sent)
        spans = real_spans(step, self.known, caps)
        _finite(self.neurons, step, spans)
        bits = {name: h.bits for name, h in self.held.items()}
        formats = Formats(step, spans, bits, self.s.bits, self.machine)
        wanted = {name: self._wanted(name, root, formats) for name, root in step.roots.items()}
        for name, root in step.roots.items():
            want = wanted[name]
            if want is not None:
                formats.ask(root, want + (FINER if name == "sent" else 0))
        formats.compare()
        emit = Emitter(formats, self.known, caps, self.do, self._state, self._port)
        emit.clips = self.clips
        made = {name: self._root(name, root, wanted[name], emit)
                for name, root in step.roots.items()}  # fmt: skip
        integer = self._neurons(made, emit)
        return self._record(integer, emit, wanted.get("sent"))

    def _wanted(self, name: str, root: E, formats: Formats) -> int | None:
        kind, _, state = name.partition(" ")
        if kind in ("state", "reads"):
            return self.held[state].bits
        if name == "sent" and self.sent_bits is not None:
            return self.sent_bits
        if name == "sent" and self.neurons.model.sends == "value":
            span = self.known.get("sent", formats.spans.get(id(root), (0.0, 1.0)))
            most = self.machine.payload_bits - 1
            return min(fraction_bits(span, most), formats.native.get(id(root), 0))
        return None

    def _state(self, e: E) -> Fix:
        h = self.held[e.value]
        return Fix(E("state", value=e.value), h.bits, h.low, h.high)

    def _port(self, name: str, bits: int, emit: Emitter) -> Fix:
        return entered(
            name, bits, self.s, self.known[name], self.sums.get(name), self.do, emit
        )  # fmt: skip

    def _root(self, name: str, root: E, bits: int | None, emit: Emitter) -> E:
        if bits is None:
            return emit.truth(root)
        kind, _, state = name.partition(" ")
        most = 2 ** (self.machine.payload_bits - 1) - 1
        h = self.held[state] if kind != "sent" else _Held(bits, -most, most)
        x = emit.at(root, bits) if not _far(root, bits, emit) else self._lifted(root, h, emit, name)
        if x.low < h.low or x.high > h.high:
            self.clips.append(Clip(name, x.e, h.low, h.high))
        within = self.do.held(x, h.low, h.high)
        if kind == "sent":
            self.sent = within.low, within.high
        return within.e

    def _lifted(self, root: E, h: _Held, emit: Emitter, name: str) -> Fix:
        """A result too large for the format of the state: held first, then shifted up."""
        x = emit.number(root)
        up = h.bits - x.bits
        low, high = -(-h.low >> up), h.high >> up
        self.clips.append(Clip(name, x.e, low, high))
        return self.do.up(self.do.held(x, low, high), up)

    def _neurons(self, made: Mapping[str, E], emit: Emitter) -> Neurons:
        old = self.neurons.model
        used = {e.value for e in ordered(made.values()) if e.op == "param"}
        values = {k: _narrowest(v) for k, v in emit.values.items() if k in used}
        model = Model(
            name=old.name,
            states=old.states,
            parameters=tuple(Field(name) for name in values),
            step=listed(made, old.inputs),
            options={**old.options, **self.neurons.options},
            inputs=old.inputs,
            sends=old.sends,
            source=old.source,
            choices=old.choices,
        )
        initial = {}
        for name, given in self.neurons.initial.items():
            h = self.held[name]
            scale = self.s.factor[name] * 2.0**h.bits
            initial[name] = np.clip(round_half_up(np.asarray(given) * scale), h.low, h.high)
        return Neurons(model, self.neurons.n, "int32", values, self.neurons.options, initial)

    def _record(self, integer: Neurons, emit: Emitter, sent: int | None) -> Fixed:
        scale = {s: self.s.factor[s] * 2.0**h.bits for s, h in self.held.items()}
        ports = {p: "shift" if p in self.s.bits else "multiply" for p in self.neurons.model.inputs}
        spans = {s: (h.low, h.high) for s, h in self.held.items()}
        found = Fixed(
            integer, scale, sent, ports, tuple(emit.clips), tuple(emit.tables), (), spans, self.sent
        )  # fmt: skip
        return replace(found, notes=noted(found, self.s, emit.rounded))


def _far(root: E, bits: int, emit: Emitter) -> bool:
    """Whether a result does not fit the word in the format of its state."""
    if root.op in ("const", "param") or truth(root):
        return False
    x = emit.number(root)
    return bits > x.bits and emit.do.room(x) < bits - x.bits


def _narrowest(values: Any) -> Any:
    """One integer where all are the same, else an array."""
    array = np.asarray(values, dtype=np.int64)
    return int(array.flat[0]) if array.ndim == 0 or (array == array.flat[0]).all() else array
