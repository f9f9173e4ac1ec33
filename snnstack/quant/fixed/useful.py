"""How much of a function's range can matter: what saturates or is compared anyway is no loss.

A membrane that leaps over its threshold fires whatever the leap, so an exponential that drives it
need not be told from a larger one. From every result back to the functions: of a + b within u, a
need only be known within u - b, and so on. Values beyond are held at the end, which changes
nothing that is kept, sent or decided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from snnstack.dynamics.expr import E
from snnstack.dynamics.spans import Span
from snnstack.quant.fixed.plain import Plain, number, truth

EVERYTHING = (-math.inf, math.inf)
NOTHING = (math.inf, -math.inf)


def useful(
    plain: Plain, spans: Mapping[int, Span], kept: Mapping[str, Span], sent: Span
) -> dict[int, Span]:
    """The interval of every node beyond which its value makes no difference.

    `kept`: limits of states; `sent`: those of a value that is sent.
    """
    found = {id(e): NOTHING for e in plain.nodes}
    size = max((abs(end) for span in kept.values() for end in span), default=1.0)
    for name, root in plain.roots.items():
        if not truth(root):
            state = name.partition(" ")[2]
            _include(found, root, kept.get(state, sent))
    for e in reversed(plain.nodes):
        for arg, of in zip(e.args, _of_arguments(e, found[id(e)], spans, size), strict=True):
            _include(found, arg, of)
    return found


def _include(found: dict[int, Span], e: E, of: Span) -> None:
    before = found[id(e)]
    found[id(e)] = min(before[0], of[0]), max(before[1], of[1])


def _of_arguments(e: E, u: Span, spans: Mapping[int, Span], size: float) -> list[Span]:
    given = [spans[id(a)] for a in e.args]
    match e.op:
        case "add":
            a, b = given
            return [(u[0] - b[1], u[1] - b[0]), (u[0] - a[1], u[1] - a[0])]
        case "sub":
            a, b = given
            return [(u[0] + b[0], u[1] + b[1]), (a[0] - u[1], a[1] - u[0])]
        case "min" | "max":
            return [u, u]
        case "where":
            return [EVERYTHING, u, u]
        case "nearest":
            return [(u[0] - 1, u[1] + 1)]
        case "gt" | "ge":
            return [_beyond(of, size) for of in reversed(given)]
        case "mul" if number(e.args[0]) or number(e.args[1]):
            return [_quotient(u, other) for other in reversed(given)]
    return [EVERYTHING for _ in e.args]


def _beyond(of: Span, size: float) -> Span:
    """What is surely below and surely above every number of the interval."""
    more = max(abs(of[0]), abs(of[1])) or size
    return of[0] - more, of[1] + more


def _quotient(u: Span, by: Span) -> Span:
    """Everything that times some number of `by` lies in `u`."""
    if by[0] <= 0 <= by[1]:
        return EVERYTHING
    ends = [x / y for x in u for y in by]
    return min(ends), max(ends)
