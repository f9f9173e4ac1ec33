"""A step made smaller by what is known: intervals of its leaves, and conditions that hold or not.

Expressions of one `Known` are shared: what is computed alike is one object. A condition that is
taken as true or false narrows the intervals of what it compares, so that clips fall away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnstack.dynamics.expr import E, constant, lift, ordered
from snnstack.dynamics.model import Number
from snnstack.dynamics.ops import OPS, Op
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import Step

WHOLE: Span = (-(2**31), 2**31 - 1)
"""What a leaf of 32 bits can be."""
LONG = 2**63
Roots = Mapping[str, E]


@dataclass(eq=False)
class Known:
    """What is known of one step: a table of shared expressions, and intervals of the leaves.

    `number`: what it computes in; of real numbers no interval is kept. `facts`: truth of
    conditions, `narrowed`: intervals that follow from them, both by the identity of expressions.
    """

    leaves: Mapping[tuple[str, str], Span]
    number: Number
    unique: dict[Any, E] = field(default_factory=dict)
    facts: dict[int, bool] = field(default_factory=dict)
    narrowed: dict[int, Span] = field(default_factory=dict)
    found: dict[int, Span] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether the numbers are integers."""
        return self.number in ("int32", "int64")

    def reduced(self, roots: Roots) -> dict[str, E]:
        """The same results by fewer operations, as far as is known."""
        done: dict[int, E] = {}
        for e in ordered(roots.values()):
            done[id(e)] = self._simplest(e, tuple(done[id(a)] for a in e.args))
        return {name: done[id(e)] for name, e in roots.items()}

    def assuming(self, condition: E, holds: bool) -> Known:
        """What is known where `condition`, an expression of this table, holds or does not."""
        made = Known(self.leaves, self.number, self.unique, dict(self.facts), dict(self.narrowed))
        made._assume(condition, holds)
        return made

    def span(self, e: E) -> Span:
        """The interval of a reduced expression."""
        if not self.exact:
            return (0, 1) if is_truth(e) else (-np.inf, np.inf)
        for node in ordered([e]):
            if id(node) not in self.found:
                self.found[id(node)] = self._span(node)
        return self.found[id(e)]

    def _span(self, e: E) -> Span:
        if e.op == "const":
            return e.value, e.value
        if e.op == "lut":
            wide: Span = (min(e.value.entries), max(e.value.entries))
        elif not e.args:
            wide = self.leaves.get((e.op, e.value), WHOLE)
        elif _is_rest(e):
            wide = (0, 2 ** e.args[1].args[1].value - 1)
        else:
            wide = OPS[e.op].span(*(self.found[id(a)] for a in e.args))
        if e.args and (wide[0] < -LONG or wide[1] >= LONG):
            wide = (-LONG, LONG - 1)  # it wraps, as the definition does
        low, high = self.narrowed.get(id(e), wide)
        return max(low, wide[0]), min(high, wide[1])

    def _made(self, op: str, args: tuple[E, ...], value: Any = None) -> E:
        key = (op, value, *(id(a) for a in args))
        return self.unique.setdefault(key, E(op, args, value))

    def leaf(self, op: str, name: str) -> E:
        """A state, parameter or input."""
        return self._made(op, (), name)

    def number_of(self, value: Any) -> E:
        """A constant of this table."""
        return self._made("const", (), value)

    def _simplest(self, e: E, args: tuple[E, ...]) -> E:
        if not args:
            return self._leaf(e)
        row = OPS[e.op]
        if row.text.get("c" if self.exact else "c_real") == "=0":
            return args[0]
        one = 2**16 if self.exact else 1.0
        less = row.simpler(args, one) if row.simpler is not None else _told(e.op, args)
        if less is None and all(a.op == "const" for a in args) and e.op != "lut":
            less = self._computed(row, [a.value for a in args])
        if less is None:
            less = self._by_span(e.op, args) if self.exact else None
        if less is not None:
            return self._made(less.op, less.args, less.value)
        made = self._made(e.op, args, e.value)
        fact = self.facts.get(id(made))
        return made if fact is None else self.number_of(int(fact))

    def _leaf(self, e: E) -> E:
        if e.op != "const" and self.exact:
            low, high = self.leaves.get((e.op, e.value), WHOLE)
            if low == high:
                return self.number_of(low)
        return self._made(e.op, (), e.value)

    def _computed(self, row: Op, known: list[Any]) -> E:
        if self.exact:
            return lift(np.asarray(row.exact(*known)).item())
        rounded = [np.dtype(self.number).type(k) for k in known]
        return lift(np.asarray(row.real(np, *rounded)).item())

    def _by_span(self, op: str, args: tuple[E, ...]) -> E | None:
        """A smaller expression that intervals allow."""
        if op == "where":
            return self._alike(*args)
        if op == "add" and args[0].op == "sub" and args[0].args[1] is args[1]:
            return args[0].args[0]
        if op in ("sat", "min", "max"):
            return self._clip(op, *args)
        if op in ("gt", "ge") and args[0].op == "min":
            return self._unclipped(op, *args)
        if op in ("gt", "ge"):
            a, b = map(self.span, args)
            strict = int(op == "gt")
            if a[0] >= b[1] + strict:
                return lift(1)
            return lift(0) if a[1] < b[0] + strict else None
        if op == "wrap":
            half = 2 ** (args[1].value - 1)
            low, high = self.span(args[0])
            return args[0] if -half <= low and high < half else None
        return None

    def _clip(self, op: str, a: E, b: E) -> E | None:
        (low, high), limit = self.span(a), self.span(b)
        if op == "min":
            return a if high <= limit[0] else b if limit[1] <= low else None
        if op == "max":
            return a if low >= limit[1] else b if limit[0] >= high else None
        if constant(b) is None or limit[0] < 0:
            return None
        least = a if low >= -limit[0] else self._made("max", (a, self.number_of(-b.value)))
        return least if high <= limit[0] else self._made("min", (least, b))

    def _unclipped(self, op: str, clipped: E, bound: E) -> E | None:
        """A comparison that a clip from above does not change: its limit is above the bound."""
        a, limit = clipped.args
        if self.span(bound)[1] + int(op == "gt") > self.span(limit)[0]:
            return None
        return self._simplest(E(op, (a, bound)), (a, bound))

    def _alike(self, condition: E, a: E, b: E) -> E | None:
        """What both sides of a choice are, each where it is chosen; None where they differ."""
        if not self.exact or condition.op == "const":
            return None
        then = self.assuming(condition, True).reduced({"": a})[""]
        other = self.assuming(condition, False).reduced({"": b})[""]
        return then if then is other else None

    def _assume(self, condition: E, holds: bool) -> None:
        self.facts[id(condition)] = holds
        match condition.op:
            case "not":
                self._assume(condition.args[0], not holds)
            case "and" if holds:
                for part in condition.args:
                    self._assume(part, True)
            case "or" if not holds:
                for part in condition.args:
                    self._assume(part, False)
            case "gt" | "ge" if self.exact:
                self._compare(condition, holds)

    def _compare(self, condition: E, holds: bool) -> None:
        """Narrow both sides of a comparison of integers."""
        a, b = condition.args if holds else condition.args[::-1]
        strict = int((condition.op == "gt") == holds)
        low, high = self.span(a), self.span(b)
        self.narrowed[id(a)] = (max(low[0], high[0] + strict), low[1])
        self.narrowed[id(b)] = (high[0], min(high[1], low[1] - strict))
        self.found.clear()


def known(step: Step, bounds: Mapping[str, Span]) -> Known:
    """What is known of `step` before it runs; `bounds`: of states and inputs, by name."""
    neurons = step.neurons
    leaves: dict[tuple[str, str], Span] = {}
    for name in (*step.arrays, *step.scalars) if neurons.integer else ():
        values = np.asarray(neurons.value(name))
        leaves["param", name] = (int(values.min()), int(values.max()))
    for name in neurons.model.states:
        leaves["state", name] = bounds.get(name, WHOLE)
    for name in neurons.model.inputs:
        leaves["input", name] = bounds.get(name, WHOLE)
    return Known(leaves, neurons.number)


def conditions(roots: Iterable[E]) -> list[E]:
    """Conditions of choices, those that others need first."""
    nodes = ordered(roots)
    asked = [e.args[0] for e in nodes if e.op == "where" and e.args[0].op != "const"]
    return list({id(e): e for e in asked}.values())


def _is_rest(e: E) -> bool:
    """Whether it is what shifting down and up again loses: x - (x >> k << k)."""
    if e.op != "sub" or e.args[1].op not in ("shl", "scaled"):
        return False
    whole, up = e.args[1].args
    return whole.op == "sra" and whole.args[0] is e.args[0] and whole.args[1] is up


def _told(op: str, args: tuple[E, ...]) -> E | None:
    """Whether a condition is as a known one is."""
    if op != "eq" or not all(is_truth(a) or a.op == "const" for a in args):
        return None
    for known, other in (args, args[::-1]):
        if constant(known) is not None and is_truth(other):
            return other if known.value else E("not", (other,))
    return None


def is_truth(e: E) -> bool:
    """Whether the result is a truth value."""
    return e.op in OPS and OPS[e.op].truth
