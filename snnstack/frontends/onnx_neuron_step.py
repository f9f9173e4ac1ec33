"""One step of a population as ONNX nodes: the equations of `snnstack.ir.step`."""

from __future__ import annotations

import numpy as np

from snnstack.frontends.onnx_writer import Writer
from snnstack.ir.nodes import Array
from snnstack.ir.step import Population


def neurons(w: Writer, p: Population, parts: list[str], like: str) -> str:
    """The step of `p` for the sums `parts` [batch, n]; the name of what is sent.

    `like`: any tensor [batch, m], for populations that nothing enters.
    """
    x = _sum(w, p, parts, like)
    v = w.state(f"{p.name}.v", p.n)
    if p.beta is not None:
        i = w.state(f"{p.name}.i", p.n)
        x = _axpy(w, p.beta, i, _times(w, x, p.gain_in, f"{p.name}.in"), f"{p.name}.current")
        w.next(i, x)
    x = _times(w, x, p.gain, f"{p.name}.drive")
    if p.threshold is None:
        new = _plus(w, _axpy(w, p.alpha, v, x, f"{p.name}.sum"), p.leak, f"{p.name}.new")
        w.next(v, new)
        return new
    before = _above(w, p, v, "before") if p.reset_time != "now" else ""
    new, fired = _fired(w, p, v, x, before)
    if p.refractory:
        new, fired = _refractory(w, p, v, new, fired)
    w.next(v, _reset(w, p, new, fired, before))
    return fired


def _sum(w: Writer, p: Population, parts: list[str], like: str) -> str:
    if not parts:  # zeros of the batch's length
        column = w.op("ReduceSum", [like, w.constant([1], f"{p.name}.axis", np.int64)],
                      f"{p.name}.column", keepdims=1)  # fmt: skip
        parts = [w.op("Mul", [column, w.constant(np.zeros((1, p.n)), f"{p.name}.none")],
                      f"{p.name}.silence")]  # fmt: skip
    total = parts[0]
    for part in parts[1:]:
        total = w.op("Add", [total, part], f"{p.name}.x")
    return _plus(w, total, p.bias, f"{p.name}.biased")


def _plus(w: Writer, x: str, values: Array, name: str) -> str:
    if not np.any(values):
        return x
    return w.op("Add", [x, w.constant(values, f"{name}.constant")], name)


def _times(w: Writer, x: str, values: Array, name: str) -> str:
    if np.all(values == 1.0):
        return x
    return w.op("Mul", [x, w.constant(values, f"{name}.gain")], name)


def _axpy(w: Writer, factor: Array, state: str, x: str, name: str) -> str:
    decayed = w.op("Mul", [state, w.constant(factor, f"{name}.decay")], f"{name}.decayed")
    return w.op("Add", [decayed, x], name)


def _above(w: Writer, p: Population, v: str, name: str) -> str:
    """1.0 where `v` is beyond the threshold."""
    threshold = w.constant(p.threshold, f"{p.name}.threshold")
    kind = "GreaterOrEqual" if p.compare == "ge" else "Greater"
    beyond = w.op(kind, [v, threshold], f"{p.name}.{name}.is")
    return w.op("Cast", [beyond], f"{p.name}.{name}", to=w.onnx.TensorProto.DOUBLE)


def _fired(w: Writer, p: Population, v: str, x: str, before: str) -> tuple[str, str]:
    """(membrane before a reset, spikes)."""
    kind, when = p.reset, p.reset_time
    if kind == "set" and when == "next":
        v = _set(w, p, v, before, "old")
    new = _plus(w, _axpy(w, p.alpha, v, x, f"{p.name}.sum"), p.leak, f"{p.name}.leaked")
    if kind == "set" and when == "next_all":
        new = _set(w, p, new, before, "reset")
    if kind == "subtract" and when in ("next", "recheck"):
        new = _less(w, p, new, before, "late")
    return new, _above(w, p, new, "spikes")


def _less(w: Writer, p: Population, v: str, spikes: str, name: str) -> str:
    threshold = w.constant(p.threshold, f"{p.name}.{name}.threshold")
    amount = w.op("Mul", [spikes, threshold], f"{p.name}.{name}.amount")
    return w.op("Sub", [v, amount], f"{p.name}.{name}")


def _set(w: Writer, p: Population, v: str, spikes: str, name: str) -> str:
    is_one = w.op("Cast", [spikes], f"{p.name}.{name}.is", to=w.onnx.TensorProto.BOOL)
    value = w.constant(p.v_reset, f"{p.name}.{name}.v_reset")
    return w.op("Where", [is_one, value, v], f"{p.name}.{name}")


def _reset(w: Writer, p: Population, v: str, fired: str, before: str) -> str:
    if p.reset_time == "recheck":
        change = w.op("Sub", [fired, before], f"{p.name}.change")
        return _less(w, p, v, change, "rechecked")
    if p.reset_time != "now" or p.reset == "none":
        return v
    return _set(w, p, v, fired, "after") if p.reset == "set" else _less(w, p, v, fired, "after")


def _refractory(w: Writer, p: Population, v: str, new: str, fired: str) -> tuple[str, str]:
    """While `wait` is above 0 the membrane keeps its value and nothing is sent."""
    wait, zero = w.state(f"{p.name}.wait", p.n), w.constant(0.0, f"{p.name}.zero")
    waiting = w.op("Greater", [wait, zero], f"{p.name}.waits")
    new = w.op("Where", [waiting, v, new], f"{p.name}.kept")
    fired = w.op("Where", [waiting, zero, fired], f"{p.name}.fires")
    one = w.constant(1.0, f"{p.name}.one")
    left = w.op("Max", [w.op("Sub", [wait, one], f"{p.name}.less"), zero], f"{p.name}.left")
    is_one = w.op("Cast", [fired], f"{p.name}.fires.is", to=w.onnx.TensorProto.BOOL)
    full = w.constant(float(p.refractory), f"{p.name}.period")
    w.next(wait, w.op("Where", [is_one, full, left], f"{p.name}.then"))
    return new, fired
