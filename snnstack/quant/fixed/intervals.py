"""Intervals of every node of a step, in real numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from snnstack.dynamics import spans
from snnstack.dynamics.expr import E
from snnstack.dynamics.spans import Span
from snnstack.quant.fixed.functions import FUNCTIONS
from snnstack.quant.fixed.plain import Plain, truth

RATIO = 16.0
"""The largest span, end over beginning, of a divisor that a table of reciprocals serves."""


def real_spans(
    plain: Plain, known: Mapping[str, Span], caps: Mapping[int, Span] | None = None
) -> dict[int, Span]:
    """The interval of every node by identity.

    `known`: of states and inputs by name, and of the arguments of functions where they were
    calibrated ("exp 0"); `caps`: of values of functions by identity, beyond which they make no
    difference. Functions are held within these (see `domain`).
    """
    found: dict[int, Span] = {}
    for e in plain.nodes:
        found[id(e)] = _span(e, [found[id(a)] for a in e.args], plain, known, caps or {})
    return found


def _span(
    e: E,
    args: list[Span],
    plain: Plain,
    known: Mapping[str, Span],
    caps: Mapping[int, Span],
) -> Span:
    match e.op:
        case "const":
            return e.value, e.value
        case "param":
            value = plain.values[e.value]
            return float(np.min(value)), float(np.max(value))
        case "state" | "input":
            return known[e.value]
        case "add":
            return spans.sum_of(*args)
        case "sub":
            return spans.difference(*args)
        case "mul" if e.args[0] is e.args[1]:
            size = spans.magnitude(args[0])
            return size[0] ** 2, size[1] ** 2
        case "mul":
            return spans.product(*args)
        case "min":
            return spans.smaller(*args)
        case "max":
            return spans.larger(*args)
        case "abs":
            return spans.magnitude(*args)
        case "nearest":
            return math.floor(args[0][0] + 0.5), math.floor(args[0][1] + 0.5)
        case "where":
            return min(args[1][0], args[2][0]), max(args[1][1], args[2][1])
    if truth(e):
        return 0.0, 1.0
    return FUNCTIONS[e.op].span(domain(e, args[0], plain, known, caps))


def domain(
    e: E, argument: Span, plain: Plain, known: Mapping[str, Span], caps: Mapping[int, Span]
) -> Span:
    """The arguments that a function is looked up for.

    Of exp, up to where it makes no difference any more; where there is no such place, and of
    functions that do not become constant, the calibrated range.
    """
    function = FUNCTIONS[e.op]
    low, high = max(argument[0], function.least), argument[1]
    if e.op == "exp" and 0 < caps.get(id(e), (0, math.inf))[1] < math.inf:
        high = min(high, math.log(caps[id(e)][1]))
        return min(low, high), high
    calibrated = known.get(plain.functions.get(id(e), ""))
    if calibrated is not None and e.op != "reciprocal":
        low = low if function.flat[0] else max(low, calibrated[0])
        high = high if function.flat[1] else min(high, calibrated[1])
        if low > high:  # the calibrated span lies beyond what intervals allow
            low, high = argument
    return low, high


def excludes_zero(of: Span) -> bool:
    """Whether a table of reciprocals serves a divisor in this interval."""
    low, high = sorted(map(abs, of))
    return of[0] * of[1] > 0 and high <= RATIO * low


def wider(of: Span, margin: float, across: bool) -> Span:
    """`of`, wider by that share of its width on either side; across 0 only if `across`."""
    low, high = of
    pad = margin * (high - low)
    if across:
        return low - pad, high + pad
    least = max(low - pad, low / (1 + margin)) if low >= 0 else low - pad
    most = min(high + pad, high / (1 + margin)) if high <= 0 else high + pad
    return least, most


def finite(of: Span) -> bool:
    """Whether both ends are."""
    return math.isfinite(of[0]) and math.isfinite(of[1])
