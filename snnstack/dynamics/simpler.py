"""Arguments that make an operation needless: what folding a layer's constants leaves out.

Each function gets the arguments and what a factor of 1 is in the numbers at hand, and answers
with an expression that is always the same, or None.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E, constant, lift


def zero_right(args: tuple[E, ...], one: float) -> E | None:
    """Adding, taking or shifting by nothing."""
    return args[0] if constant(args[1]) == 0 else None


def zero_either(args: tuple[E, ...], one: float) -> E | None:
    """A sum of which one part is nothing."""
    if constant(args[0]) == 0:
        return args[1]
    return zero_right(args, one)


def factor(args: tuple[E, ...], one: float) -> E | None:
    """A product with 1 or 0; a factor with fraction bits is 1 at 2**bits."""
    by = constant(args[1])
    if one != 1.0:
        one = 2 ** args[2].value if len(args) == 3 else 1
    if by == one:
        return args[0]
    return lift(0) if by == 0 or constant(args[0]) == 0 else None


def gain(args: tuple[E, ...], one: float) -> E | None:
    """A gain of 1; integers have it in their scale."""
    return args[0] if one != 1.0 or constant(args[1]) == 1 else None


def chosen(args: tuple[E, ...], one: float) -> E | None:
    """A choice that is made, or makes no difference."""
    known = constant(args[0])
    if known is not None:
        return args[1] if known else args[2]
    return args[1] if args[1] is args[2] else None


def both(args: tuple[E, ...], one: float) -> E | None:
    """A conjunction with something known."""
    for k in (0, 1):
        known = constant(args[k])
        if known is not None:
            return args[1 - k] if known else lift(0)
    return None


def either(args: tuple[E, ...], one: float) -> E | None:
    """A disjunction with something known."""
    for k in (0, 1):
        known = constant(args[k])
        if known is not None:
            return lift(1) if known else args[1 - k]
    return None
