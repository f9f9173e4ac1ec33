"""Expressions: what the step of a neuron is written in, and what every lowering reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

LEAVES = ("const", "state", "param", "input")


@dataclass(frozen=True, eq=False, slots=True)
class E:
    """One operation on expressions, or a leaf.

    `op` names a row of `snnstack.dynamics.ops.OPS`, or is one of `LEAVES`. `value` is the number
    of a constant, the name of a state, parameter or input, the `Table` of a look-up, else None.

    >>> E("state", value="v") + 1
    (v + 1)
    """

    op: str
    args: tuple[E, ...] = ()
    value: Any = None

    def __add__(self, other: Operand) -> E:
        return E("add", (self, lift(other)))

    def __radd__(self, other: Operand) -> E:
        return E("add", (lift(other), self))

    def __sub__(self, other: Operand) -> E:
        return E("sub", (self, lift(other)))

    def __rsub__(self, other: Operand) -> E:
        return E("sub", (lift(other), self))

    def __mul__(self, other: Operand) -> E:
        return E("mul", (self, lift(other)))

    def __rmul__(self, other: Operand) -> E:
        return E("mul", (lift(other), self))

    def __truediv__(self, other: Operand) -> E:
        return E("div", (self, lift(other)))

    def __rtruediv__(self, other: Operand) -> E:
        return E("div", (lift(other), self))

    def __neg__(self) -> E:
        return E("sub", (lift(0), self))

    def __rshift__(self, other: Operand) -> E:
        return E("sra", (self, lift(other)))

    def __lshift__(self, other: Operand) -> E:
        return E("shl", (self, lift(other)))

    def __gt__(self, other: Operand) -> E:
        return E("gt", (self, lift(other)))

    def __ge__(self, other: Operand) -> E:
        return E("ge", (self, lift(other)))

    def __lt__(self, other: Operand) -> E:
        return E("gt", (lift(other), self))

    def __le__(self, other: Operand) -> E:
        return E("ge", (lift(other), self))

    def __and__(self, other: Operand) -> E:
        return E("and", (self, lift(other)))

    def __rand__(self, other: Operand) -> E:
        return E("and", (lift(other), self))

    def __or__(self, other: Operand) -> E:
        return E("or", (self, lift(other)))

    def __invert__(self) -> E:
        return E("not", (self,))

    def __bool__(self) -> bool:
        raise TypeError("the value is known only when the neuron runs: use where(condition, a, b)")

    def __repr__(self) -> str:
        from snnstack.dynamics.ops import OPS

        if self.op == "const":
            return repr(self.value)
        if self.op in LEAVES:
            return str(self.value)
        return OPS[self.op].shown(*map(repr, self.args))


@dataclass(frozen=True)
class Table:
    """A look-up table: `name` (an identifier) and int16 or int32 `entries`."""

    name: str
    entries: tuple[int, ...]


Operand = E | int | float | bool


def lift(value: Operand) -> E:
    """The value as an expression; a number becomes a constant, a truth value 0 or 1."""
    if isinstance(value, E):
        return value
    return E("const", value=int(value) if isinstance(value, bool) else value)


def constant(e: E) -> Any:
    """The number of a constant, else None."""
    return e.value if e.op == "const" else None


def ordered(roots: Iterable[E]) -> Iterator[E]:
    """Every expression below `roots` once, arguments first."""
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        e, ready = stack.pop()
        if ready:
            yield e
        elif id(e) not in seen:
            seen.add(id(e))
            stack.append((e, True))
            stack.extend((arg, False) for arg in reversed(e.args))
