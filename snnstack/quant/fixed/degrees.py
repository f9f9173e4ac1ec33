"""Free scales: which numbers of a step may be multiplied together without changing what it does.

A step is homogeneous in a port when there is a degree for every state, input and parameter such
that multiplying each with c to its degree multiplies every result likewise: sums need equal
degrees, products add them, functions and constants have degree 0. Then the scale of the port's
integers is taken over by the states, and the port needs no multiplication.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Neurons
from snnstack.quant.fixed.plain import Plain, truth

Name = tuple[str, str]
Form = dict[Name, Fraction]
ONE = Fraction(1)


class _System:
    """Linear equations that do not contradict each other, in echelon form."""

    def __init__(self) -> None:
        self.rows: list[tuple[Name, Form, Fraction]] = []

    def _reduced(self, form: Form, value: Fraction) -> tuple[Form, Fraction]:
        form = dict(form)
        for pivot, row, right in self.rows:
            factor = form.get(pivot, Fraction(0))
            if factor:
                for name, c in row.items():
                    form[name] = form.get(name, Fraction(0)) - factor * c
                value -= factor * right
        return {k: c for k, c in form.items() if c}, value

    def add(self, form: Form, value: Fraction = Fraction(0)) -> bool:
        """Whether the equation goes with those before; it is added then."""
        form, value = self._reduced(form, value)
        if not form:
            return value == 0
        pivot = next(iter(form))
        scale = form[pivot]
        self.rows.append((pivot, {k: c / scale for k, c in form.items()}, value / scale))
        return True

    def solved(self, names: Iterable[Name]) -> dict[Name, Fraction]:
        """Every unknown, those that are free as 0."""
        named = (name for _, row, _ in self.rows for name in row)
        known = {name: Fraction(0) for name in (*names, *named)}
        for pivot, row, right in reversed(self.rows):
            rest = (c * known[name] for name, c in row.items() if name != pivot)
            known[pivot] = right - sum(rest, Fraction(0))
        return known


def degrees(
    neurons: Neurons, plain: Plain, ports: frozenset[str], fixed: frozenset[str]
) -> dict[Name, Fraction] | None:
    """The degree of ("state" | "param" | "input", name); None if there are none.

    Those of `ports` have degree 1, all other inputs and the states in `fixed` 0.
    """
    system = _System()
    if not all(system.add(form) for form in _equations(neurons, plain)):
        return None
    leaves = [(e.op, e.value) for e in plain.nodes if e.op in ("state", "param", "input")]
    for name in leaves:
        wanted = ONE if name[0] == "input" and name[1] in ports else Fraction(0)
        given = name[0] == "input" or (name[0] == "state" and name[1] in fixed)
        if given and not system.add({name: ONE}, wanted):
            return None
    for name in sorted(leaves, key=lambda leaf: leaf[0] != "param"):
        system.add({name: ONE})  # whatever need not be scaled is not
    return system.solved(leaves)


def _equations(neurons: Neurons, plain: Plain) -> list[Form]:
    """Forms that must be 0. None as a form: a constant 0, which has every degree."""
    forms: dict[int, Form | None] = {}
    found: list[Form] = []

    def equal(*args: Form | None) -> Form | None:
        some = [a for a in args if a is not None]
        found.extend(_less(some[0], other) for other in some[1:])
        return some[0] if some else None

    for e in plain.nodes:
        args = [forms[id(a)] for a in e.args]
        forms[id(e)] = _form(e, args, equal)
        if e.op not in _EQUAL and e.op not in ("mul", "where"):
            found += [a for a in args if a]  # degree 0
    for name, root in plain.roots.items():
        form = forms[id(root)]
        if name == "sent" and neurons.model.sends == "value" and form:
            found.append(form)
        kind, _, state = name.partition(" ")
        if kind in ("state", "reads"):
            equal(form, {("state", state): ONE})
    return found


_EQUAL = ("add", "sub", "min", "max", "abs", "gt", "ge", "eq")


def _form(e: E, args: list[Form | None], equal: object) -> Form | None:
    assert callable(equal)
    result: Form | None
    if e.op in ("state", "param", "input"):
        return {(e.op, e.value): ONE}
    if e.op == "const":
        return None if e.value == 0 else {}
    if e.op == "mul":
        a, b = args
        return None if a is None or b is None else _less(a, {k: -c for k, c in b.items()})
    if e.op == "where":
        result = equal(*args[1:])
        return result
    if e.op in _EQUAL:
        result = equal(*args)
        return {} if truth(e) else result
    return {}


def _less(a: Form, b: Form) -> Form:
    names = [*a, *(k for k in b if k not in a)]
    found = {k: a.get(k, Fraction(0)) - b.get(k, Fraction(0)) for k in names}
    return {k: c for k, c in found.items() if c}
