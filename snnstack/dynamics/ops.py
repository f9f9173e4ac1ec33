"""The operations of a neuron's step: one row each, which is everything there is to know of it.

A row says what an operation is on integers (`exact`), on real numbers (`real`), how far its
result can reach (`span`), how it is written in each language (`text`), what it costs.
`exact` is the definition on an integer target; `real` is that of the float network, in which
nothing rounds and nothing saturates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnstack import fixedpoint
from snnstack.dynamics import simpler, spans
from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.spans import Span


@dataclass(frozen=True)
class Op:
    """One operation.

    `exact(*args)`: numpy on int64 arrays or Python integers, truth values as bool.
    `real(xp, *args)`: on real arrays of the namespace `xp` (numpy, torch). `span(*spans)`: the
    interval of the integer result from those of the arguments. `text`: by language, a format
    string whose fields are the arguments' texts. `cost`: machine operations by kind. `truth`:
    the result is a truth value. `simpler(args, one)`: an argument or constant that is the same,
    or None; `one` is what a factor of 1 is in the numbers at hand.
    """

    name: str
    arity: int
    exact: Callable[..., Any]
    real: Callable[..., Any]
    span: Callable[..., Span]
    text: Mapping[str, str]
    cost: Mapping[str, int] = field(default_factory=lambda: {"alu": 1})
    truth: bool = False
    simpler: Callable[[tuple[E, ...], float], E | None] | None = None

    def shown(self, *args: str) -> str:
        """The operation as a person would write it."""
        return self.text.get("shown", f"{self.name}({', '.join(args)})").format(*args)


# In "numba", {T} is the type of the number at hand: np.int32, np.int64, np.float64, np.float32.


def _infix(sign: str) -> dict[str, str]:
    plain = f"({{0}} {sign} {{1}})"
    return {"numba": f"{{T}}({{0}} {sign} {{1}})", "c": plain, "python": plain, "shown": plain}


def _test(sign: str) -> dict[str, str]:
    plain = f"({{0}} {sign} {{1}})"
    return {"numba": plain, "c": plain, "python": plain, "shown": plain}


def _floor_decay(x: Any, factor: Any, bits: Any) -> Any:
    return (x * factor) >> bits


def _toward_zero(x: Any, factor: Any, bits: Any) -> Any:
    return fixedpoint.decay(np.asarray(x), np.asarray(factor), int(bits), "toward_zero")


def _looked_up(table: Table, index: Any) -> Any:
    entries = np.asarray(table.entries, dtype=np.int64)
    return entries[np.clip(index, 0, len(entries) - 1)]


_ROWS = (
    Op(
        "add",
        2,
        lambda a, b: a + b,
        lambda xp, a, b: a + b,
        lambda a, b: (a[0] + b[0], a[1] + b[1]),
        _infix("+"),
        simpler=simpler.zero_either,
    ),
    Op(
        "sub",
        2,
        lambda a, b: a - b,
        lambda xp, a, b: a - b,
        lambda a, b: (a[0] - b[1], a[1] - b[0]),
        _infix("-"),
        simpler=simpler.zero_right,
    ),
    Op(
        "mul",
        2,
        lambda a, b: a * b,
        lambda xp, a, b: a * b,
        spans.corners(lambda x, y: x * y),
        _infix("*"),
        {"mul": 1},
        simpler=simpler.factor,
    ),
    Op(
        "mulshift",
        3,
        lambda a, b, k: (a * b) >> k,
        lambda xp, a, b, k: a * b,
        spans.scaled_down,
        {
            "numba": "{T}((np.int64({0}) * {1}) >> {2.bare})",
            "numba_real": "{T}({0} * {1})",
            "c": "(int32_t)(((int64_t){0} * {1}) >> {2})",
            "python": "(({0} * {1}) >> {2})",
        },
        {"mul": 2, "alu": 2},
    ),
    Op(
        "shl",
        2,
        lambda a, k: a << k,
        lambda xp, a, k: a * 2.0**k,
        spans.corners(spans.shifted),
        {
            "numba": "{T}({0} << {1.bare})",
            "numba_real": "{T}({0} * 2.0**{1.bare})",
            "c": "(int32_t)((uint32_t){0} << {1})",
            "python": "({0} << {1})",
        },
        simpler=simpler.zero_right,
    ),
    Op(
        "sra",
        2,
        lambda a, k: a >> k,
        lambda xp, a, k: a / 2.0**k,
        lambda a, k: (spans.down(a[0], k[0]), spans.down(a[1], k[0])),
        {
            "numba": "{T}({0} >> {1.bare})",
            "numba_real": "{T}({0} / 2.0**{1.bare})",
            "c": "({0} >> {1})",
            "python": "({0} >> {1})",
        },
        simpler=simpler.zero_right,
    ),
    Op(
        "scaled",
        2,
        lambda a, k: a << k,
        lambda xp, a, k: a,
        spans.corners(spans.shifted),
        {
            "numba": "{T}({0} << {1.bare})",
            "numba_real": "{0}",
            "c": "(int32_t)((uint32_t){0} << {1})",
            "python": "({0} << {1})",
        },
        simpler=simpler.zero_right,
    ),
    Op(
        "gained",
        2,
        lambda a, g: a,
        lambda xp, a, g: a * g,
        lambda a, g: a,
        _infix("*"),
        {"mul": 1},
        simpler=simpler.gain,
    ),
    Op(
        "decay",
        3,
        _floor_decay,
        lambda xp, x, f, bits: x * f,
        spans.scaled_down,
        {
            "numba": "decayed({0}, {1}, {2.bare})",
            "numba_real": "{T}({0} * {1})",
            "c": "snn_decay({0}, {1})",
            "python": "(({0} * {1}) >> {2})",
        },
        {"mul": 2, "alu": 3},
        simpler=simpler.factor,
    ),
    Op(
        "shrunk",
        3,
        _toward_zero,
        lambda xp, x, f, bits: x * f,
        lambda a, f, k: (min(a[0], 0), max(a[1], 0)),
        {
            "numba": "shrunk({0}, {1}, {2.bare})",
            "numba_real": "{T}({0} * {1})",
            "python": "(np.sign({0}) * ((np.abs({0}) * {1}) >> {2}))",
        },
        {"mul": 2, "alu": 5},
        simpler=simpler.factor,
    ),
    Op(
        "sat",
        2,
        lambda a, limit: np.clip(a, -limit, limit),
        lambda xp, a, limit: a,
        spans.saturated,
        {
            "numba": "min(max({0}, {T}(-{1})), {1})",
            "numba_real": "{0}",
            "c": "snn_clip({0}, {1})",
            "python": "np.clip({0}, -{1}, {1})",
        },
        {"alu": 4},
    ),
    Op(
        "wrap",
        2,
        lambda a, bits: fixedpoint.wrap(a, bits),
        lambda xp, a, bits: a,
        spans.wrapped,
        {
            "numba": "{T}({T}({0} << (32 - {1.bare})) >> (32 - {1.bare}))",
            "numba_int64": "(({0} << (64 - {1.bare})) >> (64 - {1.bare}))",
            "numba_real": "{0}",
            "c": "((int32_t)((uint32_t){0} << (32 - {1})) >> (32 - {1}))",
            "python": "((({0} + (1 << ({1} - 1))) & ((1 << {1}) - 1)) - (1 << ({1} - 1)))",
        },
        {"alu": 2},
    ),
    Op(
        "min",
        2,
        np.minimum,
        lambda xp, a, b: xp.minimum(a, b),
        lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
        {"numba": "min({0}, {1})", "c": "snn_min({0}, {1})", "python": "np.minimum({0}, {1})"},
        {"alu": 2},
    ),
    Op(
        "max",
        2,
        np.maximum,
        lambda xp, a, b: xp.maximum(a, b),
        lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
        {"numba": "max({0}, {1})", "c": "snn_max({0}, {1})", "python": "np.maximum({0}, {1})"},
        {"alu": 2},
    ),
    Op(
        "abs",
        1,
        np.abs,
        lambda xp, a: abs(a),
        spans.magnitude,
        {"numba": "abs({0})", "c": "snn_abs({0})", "python": "np.abs({0})"},
        {"alu": 2},
    ),
    Op("gt", 2, lambda a, b: a > b, lambda xp, a, b: a > b, spans.truth, _test(">"), truth=True),
    Op("ge", 2, lambda a, b: a >= b, lambda xp, a, b: a >= b, spans.truth, _test(">="), truth=True),
    Op("eq", 2, lambda a, b: a == b, lambda xp, a, b: a == b, spans.truth, _test("=="), truth=True),
    Op(
        "and",
        2,
        np.logical_and,
        lambda xp, a, b: xp.logical_and(a, b),
        spans.truth,
        _test("&"),
        truth=True,
        simpler=simpler.both,
    ),
    Op(
        "or",
        2,
        np.logical_or,
        lambda xp, a, b: xp.logical_or(a, b),
        spans.truth,
        _test("|"),
        truth=True,
        simpler=simpler.either,
    ),
    Op(
        "not",
        1,
        np.logical_not,
        lambda xp, a: xp.logical_not(a),
        spans.truth,
        {
            "numba": "(not {0})",
            "c": "(!{0})",
            "python": "np.logical_not({0})",
            "shown": "(not {0})",
        },
        truth=True,
    ),
    Op(
        "where",
        3,
        np.where,
        lambda xp, c, a, b: xp.where(c, a, b),
        lambda c, a, b: (min(a[0], b[0]), max(a[1], b[1])),
        {
            "numba": "({1} if {0} else {2})",
            "c": "({0} ? {1} : {2})",
            "python": "np.where({0}, {1}, {2})",
        },
        {"alu": 2},
        simpler=simpler.chosen,
    ),
    Op(
        "lut",
        1,
        _looked_up,
        lambda xp, index: index,
        lambda index: index,
        {
            "numba": "{table}[min(max({0}, 0), {last})]",
            "c": "{table}[snn_min(snn_max({0}, 0), {last})]",
            "python": "{table}[np.clip({0}, 0, {last})]",
        },
        {"load": 1, "alu": 4},
    ),
)

OPS: Mapping[str, Op] = {row.name: row for row in _ROWS}
