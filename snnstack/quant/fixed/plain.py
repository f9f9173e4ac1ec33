"""A traced step in few operations: sums, products, choices, comparisons, functions.

What depends on parameters alone is computed here and becomes a parameter itself: a division by
a parameter is a product with its reciprocal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import LEAVES, E, constant, lift, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.trace import Step
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.quant.fixed.functions import FUNCTIONS

PRODUCTS = ("mul", "mulshift", "gained", "decay", "fine_decay", "shrunk")
SAME = ("scaled", "sat", "wrap")
KEPT = ("add", "sub", "min", "max", "abs", "nearest", "where", "gt", "ge", "eq", "and", "or", "not")
HINT = (
    "sums, products, comparisons, choices, min, max, abs, exp, tanh, sigmoid, and division by "
    "a parameter have integers"
)


@dataclass(frozen=True, eq=False)
class Plain:
    """`roots` as those of a `Step`; `values`: by name, the parameters they read, [n] or []."""

    roots: Mapping[str, E]
    values: Mapping[str, NDArray[Any]]
    nodes: tuple[E, ...]
    functions: Mapping[int, str]
    """The name under which the argument of a function was calibrated, by identity."""


def truth(e: E) -> bool:
    """Whether the result is a truth value."""
    return e.op in OPS and OPS[e.op].truth


def number(e: E) -> bool:
    """Whether it is a constant or a parameter."""
    return e.op in ("const", "param")


def named_functions(step: Step) -> dict[str, E]:
    """Every function of a step and its argument, by the name of its calibrated range."""
    counts: dict[str, int] = {}
    found = {}
    for e in ordered(step.roots.values()):
        if e.op in FUNCTIONS or e.op == "div":
            counts[e.op] = counts.get(e.op, -1) + 1
            found[f"{e.op} {counts[e.op]}"] = e
    return found


def plain(step: Step) -> Plain:
    """`step` of real numbers in these operations; ModelError names every other one."""
    book = _Book(step)
    unknown = sorted({e.op for e in ordered(step.roots.values()) if not _known(e)})
    where = step.neurons.model.name
    raise_if_any(
        ModelError, [Problem(where, f"'{op}' has no form in integers", HINT) for op in unknown]
    )
    names = {id(e): name for name, e in named_functions(step).items()}
    for e in ordered(step.roots.values()):
        book.translate(e, names.get(id(e)))
    roots = {k: book.done[id(e)] for k, e in step.roots.items() if k != "fits"}
    nodes = tuple(ordered(roots.values()))
    used = {e.value for e in nodes if e.op == "param"}
    values = {name: value for name, value in book.values.items() if name in used}
    return Plain(roots, values, nodes, book.functions)


def _known(e: E) -> bool:
    known = (*LEAVES, *PRODUCTS, *SAME, *KEPT, "shl", "sra", "div")
    return e.op in known or e.op in FUNCTIONS


class _Book:
    """Expressions made so far, each once."""

    def __init__(self, step: Step) -> None:
        neurons = step.neurons
        self.values: dict[str, NDArray[Any]] = {
            name: np.asarray(neurons.value(name), dtype=np.float64)
            for name in (*step.arrays, *step.scalars)
        }
        self.step = step
        self.done: dict[int, E] = {}
        self.once: dict[Any, E] = {}
        self.functions: dict[int, str] = {}
        self.made = 0

    def translate(self, e: E, name: str | None) -> None:
        args = [self.done[id(a)] for a in e.args]
        made = self._translated(e, args, name)
        self.done[id(e)] = made

    def _translated(self, e: E, args: list[E], name: str | None) -> E:
        if e.op in LEAVES:
            return self._unique(E(e.op, value=float(e.value) if e.op == "const" else e.value))
        if e.op in PRODUCTS:
            return self.make("mul", args[0], args[1])
        if e.op in SAME:
            return args[0]
        if e.op in ("shl", "sra"):
            power = self.make("power", args[1] if e.op == "shl" else self._negative(args[1]))
            return self.make("mul", args[0], power)
        if e.op == "div":
            return self.make("mul", args[0], self._function("reciprocal", args[1], name))
        if e.op in FUNCTIONS:
            return self._function(e.op, args[0], name)
        return self.make(e.op, *args)

    def _negative(self, e: E) -> E:
        return self.make("sub", lift(0.0), e)

    def _function(self, op: str, arg: E, name: str | None) -> E:
        made = self.make(op, arg)
        if name is not None:
            self.functions.setdefault(id(made), name)
        return made

    def make(self, op: str, *args: E) -> E:
        """An operation, or its result where all arguments are numbers."""
        if all(map(number, args)):
            return self._computed(op, args)
        if op == "power":
            what = "shifts by a number of bits that depends on a state"
            raise ModelError(Problem(self.step.neurons.model.name, what, HINT))
        if op == "eq" and args[0] is args[1]:
            return self._unique(lift(1.0))
        if op == "where" and truth(args[1]) and truth(args[2]):
            condition, a, b = args
            other = self.make("and", self.make("not", condition), b)
            return self.make("or", self.make("and", condition, a), other)
        asks = {"and", "or", "not"} | ({"where"} if op == "where" else set())
        if op in asks:
            count = 1 if op == "where" else len(args)
            args = (*map(self._as_truth, args[:count]), *args[count:])
        return self._unique(E(op, args))

    def _as_truth(self, e: E) -> E:
        if truth(e):
            return e
        if number(e):  # 0 or 1 for every neuron
            return self.make("not", self.make("not", e))
        return self.make("not", self._unique(E("eq", (e, self._unique(lift(0.0))))))

    def _computed(self, op: str, args: tuple[E, ...]) -> E:
        found = [
            np.float64(e.value) if e.op == "const" else self.values[e.value] for e in args
        ]  # fmt: skip
        with np.errstate(all="ignore"):
            value = np.asarray(_real(op, found), dtype=np.float64)
        if not np.isfinite(value).all():
            what = f"'{op}' of {', '.join(map(repr, args))} is not finite"
            if op == "reciprocal":
                what = f"divides by {args[0]!r}, which is 0" if args[0].value else "divides by 0"
            raise ModelError(Problem(self.step.neurons.model.name, what, "check their values"))
        if all(e.op == "const" for e in args):
            return self._unique(lift(float(value)))
        key = ("computed", op, *map(id, args))
        if key not in self.once:
            self.made += 1
            name = f"k{self.made}"
            while name in self.values or name in self.step.neurons.model.states:
                self.made += 1
                name = f"k{self.made}"
            self.values[name] = value
            self.once[key] = E("param", value=name)
        return self.once[key]

    def _unique(self, e: E) -> E:
        return self.once.setdefault((e.op, e.value, *map(id, e.args)), e)


def _real(op: str, args: list[Any]) -> Any:
    if op == "power":
        return 2.0 ** args[0]
    if op == "reciprocal":
        return 1.0 / args[0]
    if op in FUNCTIONS:
        return np.vectorize(FUNCTIONS[op].at, otypes=[np.float64])(args[0])
    return OPS[op].real(np, *args)


def exact_bits(value: Any) -> int | None:
    """The fewest fraction bits, at least 0, that hold `value` exactly; None above 40."""
    array = np.asarray(value, dtype=np.float64)
    for bits in range(41):
        if (array * 2.0**bits == np.floor(array * 2.0**bits)).all():
            return bits
    return None


__all__ = ["Plain", "constant", "exact_bits", "named_functions", "number", "plain", "truth"]
