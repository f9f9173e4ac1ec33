"""The operations of a neuron's step: one row each, which is everything there is to know of it.

A row says what an operation is on integers (`exact`), on real numbers (`real`), how far its
result can reach (`span`), how it is written in each language (`text`), what it costs.
`exact` is the definition on an integer target; `real` is that of the float network, in which
nothing rounds and nothing saturates.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnstack import fixedpoint
from snnstack.dynamics import simpler, spans
from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.functions import FUNCTIONS
from snnstack.dynamics.spans import Span
from snnstack.errors import ModelError, fail


@dataclass(frozen=True)
class Op:
    """One operation.

    `exact(*args)`: numpy on int64 arrays or Python integers, truth values as bool.
    `real(xp, *args)`: on real arrays of the namespace `xp` (numpy, torch). `span(*spans)`: the
    interval of the integer result from those of the arguments. `text`: by language, a format
    string whose fields are the arguments' texts (see below). `cost`: machine operations by
    kind. `truth`: the result is a truth value. `simpler(args, one)`: an argument or constant that
    is the same,
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


# "llvm" is for integers, "llvm_real" for real numbers, "llvm_truth" where the first argument is a
# truth value, "llvm_int64" and such for one type only. {T} is the type, {S} its suffix, {a} to {k}
# are names for steps in between; the last of the instructions, which "; " divides, is the result;
# "=0" is the first argument. "c" is C99 in a type that holds every number, "c_real" for real
# numbers, "c_inside" for a look-up whose index is within the table: {power} is 2 to the last
# argument, {unused} the bits of 64 that a wrapped number leaves. "python" is for arrays of NumPy,
# where it is not "shown", which is for people.


def _infix(sign: str, name: str) -> dict[str, str]:
    return {
        "llvm": f"{name} {{T}} {{0}}, {{1}}",
        "llvm_real": f"f{name} {{T}} {{0}}, {{1}}",
        "c": f"({{0}} {sign} {{1}})",
        "shown": f"({{0}} {sign} {{1}})",
    }


def _test(sign: str, name: str) -> dict[str, str]:
    return {
        "llvm": f"icmp s{name} {{T}} {{0}}, {{1}}",
        "llvm_real": f"fcmp o{name} {{T}} {{0}}, {{1}}",
        "c": f"({{0}} {sign} {{1}})",
        "shown": f"({{0}} {sign} {{1}})",
    }


def _extreme(name: str, real: str) -> dict[str, str]:
    sign = "<" if real == "olt" else ">"
    return {
        "llvm": f"call {{T}} @llvm.{name}.{{S}}({{T}} {{0}}, {{T}} {{1}})",
        "llvm_real": f"{{a}} = fcmp {real} {{T}} {{0}}, {{1}}; "
        "select i1 {a}, {T} {0}, {T} {1}",
        "c": f"({{0}} {sign} {{1}} ? {{0}} : {{1}})",
        "python": f"np.{name[1:]}imum({{0}}, {{1}})",
    }


def _plain(
    name: str, f: Callable[[Any, Any], Any], span: Callable[..., Span], text: Mapping[str, str],
    **more: Any,
) -> Op:  # fmt: skip
    """An operation that is the same on integers and on real numbers."""
    return Op(name, 2, f, lambda xp, a, b: f(a, b), span, text, **more)


def _compared(name: str, f: Callable[[Any, Any], Any], text: Mapping[str, str]) -> Op:
    return _plain(name, f, spans.truth, text, truth=True)


def _logical(name: str, sign: str, **more: Any) -> Op:
    """On truth values; `name` is numpy's after "logical_" and LLVM's."""
    shown = f"({{0}} {sign} {{1}})"
    python = f"np.logical_{name}({{0}}, {{1}})"
    text = {"llvm_truth": f"{name} i1 {{0}}, {{1}}", "c": shown, "shown": shown, "python": python}
    exact, real = (
        getattr(np, f"logical_{name}"),
        lambda xp, a, b: getattr(xp, f"logical_{name}")(a, b),
    )
    return Op(name, 2, exact, real, spans.truth, text, truth=True, **more)


def _extremal(name: str, text: Mapping[str, str]) -> Op:
    known = f"{name}imum"

    def real(xp: Any, a: Any, b: Any) -> Any:
        return getattr(xp, known)(a, b)

    span = spans.smaller if name == "min" else spans.larger
    return Op(name, 2, getattr(np, known), real, span, text, {"alu": 2})


def _toward_zero(x: Any, factor: Any, bits: Any) -> Any:
    return fixedpoint.decay(np.asarray(x), np.asarray(factor), int(bits), "toward_zero")


def _looked_up(table: Table, index: Any) -> Any:
    entries = np.asarray(table.entries, dtype=np.int64)
    return entries[np.clip(index, 0, len(entries) - 1)]


def _real_only(name: str, arity: int, real: Callable[..., Any], text: Mapping[str, str]) -> Op:
    """An operation on real numbers; quantisation makes a table or a product of it."""

    def exact(*args: Any) -> Any:
        hint = "quantise it: snnstack.quant.fixed"
        raise fail(ModelError, f"operation {name}", "is for real numbers", hint)

    return Op(name, arity, exact, real, lambda *spans: (-np.inf, np.inf), text, {"mul": 10})


UP = {"llvm": "shl {T} {0}, {1}", "c": "({0} * {power})", "python": "({0} << {1})"}
SHIFTED_UP = {**UP, "llvm_real": "=0", "c_real": "=0"}
# bits `k`.. of a product of 32 x 32 bits: below bit 32 + k a logical shift gives the same
PRODUCT_DOWN = (
    "{a} = sext i32 {0} to i64; {b} = sext i32 {1} to i64; {c} = mul nsw i64 {a}, {b}; "
    "{d} = zext i32 {2} to i64; {e} = lshr i64 {c}, {d}; trunc i64 {e} to i32"
)
PRODUCT_DOWN_64 = "{a} = mul i64 {0}, {1}; ashr i64 {a}, {2}"
# as above, after adding 2**k - 1 to a product that is negative
PRODUCT_TO_ZERO = (
    "{a} = sext i32 {0} to i64; {b} = sext i32 {1} to i64; {c} = mul nsw i64 {a}, {b}; "
    "{d} = zext i32 {2} to i64; {f} = shl i32 1, {2}; {g} = sub i32 {f}, 1; "
    "{h} = ashr i32 {0}, 31; {i} = and i32 {h}, {g}; {j} = zext i32 {i} to i64; "
    "{k} = add i64 {c}, {j}; {e} = lshr i64 {k}, {d}; trunc i64 {e} to i32"
)
# a factor of 32 bits is kept in 32 as what is missing to 1, which is 0 or negative
FINE_PRODUCT = (
    "{a} = sext i32 {0} to i64; {b} = sext i32 {1} to i64; {c} = mul nsw i64 {a}, {b}; "
    "{d} = lshr i64 {c}, 32; {e} = trunc i64 {d} to i32; add i32 {0}, {e}"
)
DOWN = "({0} * {1} >> {2})"
PRODUCT = {"llvm_real": "fmul {T} {0}, {1}", "c_real": "({0} * {1})"}

_ROWS = (
    _plain("add", operator.add, spans.sum_of, _infix("+", "add"), simpler=simpler.zero_either),
    _plain("sub", operator.sub, spans.difference, _infix("-", "sub"), simpler=simpler.zero_right),
    _plain(
        "mul",
        operator.mul,
        spans.product,
        _infix("*", "mul"),
        cost={"mul": 1},
        simpler=simpler.factor,
    ),
    Op(
        "mulshift",
        3,
        lambda a, b, k: (a * b) >> k,
        lambda xp, a, b, k: a * b,
        spans.scaled_down,
        {
            "llvm": PRODUCT_DOWN,
            "llvm_int64": PRODUCT_DOWN_64,
            "c": DOWN,
            "python": "(np.int64(1) * {0} * {1} >> {2})",
            **PRODUCT,
        },
        {"mul": 2, "alu": 2},
    ),
    Op(
        "shl",
        2,
        lambda a, k: a << k,
        lambda xp, a, k: a * 2.0**k,
        spans.corners(spans.shifted),
        {**UP, "c_real": "({0} * {power})"},
        simpler=simpler.zero_right,
    ),
    Op(
        "sra",
        2,
        lambda a, k: a >> k,
        lambda xp, a, k: a / 2.0**k,
        lambda a, k: (spans.down(a[0], k[0]), spans.down(a[1], k[0])),
        {
            "llvm": "ashr {T} {0}, {1}",
            "c": "({0} >> {1})",
            "c_real": "({0} / {power})",
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
        SHIFTED_UP,
        simpler=simpler.zero_right,
    ),
    Op(
        "gained",
        2,
        lambda a, g: a,
        lambda xp, a, g: a * g,
        lambda a, g: a,
        {"llvm": "=0", "c": "=0", **PRODUCT},
        {"mul": 1},
        simpler=simpler.gain,
    ),
    Op(
        "decay",
        3,
        lambda x, factor, bits: (x * factor) >> bits,
        lambda xp, x, f, bits: x * f,
        spans.scaled_down,
        {"llvm": PRODUCT_DOWN, "llvm_int64": PRODUCT_DOWN_64, "c": DOWN, **PRODUCT},
        {"mul": 2, "alu": 3},
        simpler=simpler.factor,
    ),
    Op(
        "fine_decay",
        3,
        lambda x, factor, bits: (x * factor) >> bits,
        lambda xp, x, f, bits: x * f,
        spans.scaled_down,
        {
            "llvm": FINE_PRODUCT,
            "c": "({0} + ((int64_t){0} * {1} >> 32))",
            **PRODUCT,
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
            "llvm": PRODUCT_TO_ZERO,
            "c": "({0} * {1} / {power})",
            **PRODUCT,
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
            "llvm": "{a} = sub {T} 0, {1}; "
            "{b} = call {T} @llvm.smax.{S}({T} {0}, {T} {a}); "
            "call {T} @llvm.smin.{S}({T} {b}, {T} {1})",
            "llvm_real": "=0",
            "c": "({0} > {1} ? {1} : {0} < -{1} ? -{1} : {0})",
            "c_real": "=0",
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
            "llvm": "{a} = sub i32 32, {1}; {b} = shl i32 {0}, {a}; ashr i32 {b}, {a}",
            "llvm_int64": "{a} = sub i64 64, {1}; {b} = shl i64 {0}, {a}; ashr i64 {b}, {a}",
            "llvm_real": "=0",
            "c": "((int64_t)((uint64_t){0} << {unused}) >> {unused})",
            "c_real": "=0",
        },
        {"alu": 2},
    ),
    _extremal("min", _extreme("smin", "olt")),
    _extremal("max", _extreme("smax", "ogt")),
    Op(
        "abs",
        1,
        np.abs,
        lambda xp, a: abs(a),
        spans.magnitude,
        {
            "llvm": "call {T} @llvm.abs.{S}({T} {0}, i1 false)",
            "llvm_real": "call {T} @llvm.fabs.{S}({T} {0})",
            "c": "({0} < 0 ? -{0} : {0})",
        },
        {"alu": 2},
    ),
    _compared("gt", operator.gt, _test(">", "gt")),
    _compared("ge", operator.ge, _test(">=", "ge")),
    _compared(
        "eq",
        operator.eq,
        {
            "llvm": "icmp eq {T} {0}, {1}",
            "llvm_real": "fcmp oeq {T} {0}, {1}",
            "llvm_truth": "icmp eq i1 {0}, {1}",
            "c": "({0} == {1})",
            "shown": "({0} == {1})",
        },
    ),
    _logical("and", "&", simpler=simpler.both),
    _logical("or", "|", simpler=simpler.either),
    Op(
        "not",
        1,
        np.logical_not,
        lambda xp, a: xp.logical_not(a),
        spans.truth,
        {
            "llvm_truth": "xor i1 {0}, true",
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
            "llvm_truth": "select i1 {0}, {T} {1}, {T} {2}",
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
            "llvm": "{a} = call {T} @llvm.smax.{S}({T} {0}, {T} 0); "
            "{b} = call {T} @llvm.smin.{S}({T} {a}, {T} {last}); "
            "{c} = getelementptr [{length} x i32], ptr {table}, {T} 0, {T} {b}; "
            "load i32, ptr {c}",
            "c": "{table}[{0} < 0 ? 0 : {0} > {last} ? {last} : {0}]",
            "c_inside": "{table}[{0}]",
            "python": "{table}[np.clip({0}, 0, {last})]",
        },
        {"load": 1, "alu": 4},
    ),
    Op(
        "nearest",
        1,
        lambda a: a,
        lambda xp, a: xp.floor(a + 0.5),
        lambda a: a,
        {
            "llvm": "=0",
            "llvm_real": "{a} = fadd {T} {0}, 0x3FE0000000000000; "
            "call {T} @llvm.floor.{S}({T} {a})",
            "c": "=0",
            "c_real": "floor{f}({0} + 0.5{f})",
        },
        {"alu": 2},
    ),
    _real_only(
        "div",
        2,
        lambda xp, a, b: a / b,
        {"llvm_real": "fdiv {T} {0}, {1}", "c_real": "({0} / {1})", "shown": "({0} / {1})"},
    ),
    *(_real_only(name, 1, f.real, f.text) for name, f in FUNCTIONS.items()),
)

OPS: Mapping[str, Op] = {row.name: row for row in _ROWS}
