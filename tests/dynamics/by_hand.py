"""The neuron step as it was written by hand for floats and integers: an oracle for the models."""

from __future__ import annotations

import numpy as np

from snnstack.fixedpoint import decay, saturate, wrap
from snnstack.ir.nodes import Array, ResetTime
from snnstack.ir.step import Population
from snnstack.quant.network import QuantizedPopulation
from snnstack.quant.numerics import Numerics, Overflow

State = dict[str, Array]


def initial(p: Population | QuantizedPopulation, batch: int, dtype: type) -> State:
    zeros: Array = np.zeros((batch, p.n), dtype=dtype)
    return {"v": zeros, "i": zeros, "wait": np.zeros((batch, p.n), dtype=np.int64)}


def float_step(p: Population, state: State, acc: Array) -> Array:
    x = acc + p.bias
    if p.beta is not None:
        x = state["i"] = p.beta * state["i"] + p.gain_in * x
    before, late, time = state["v"], _late(p, state["v"]), _time(p)
    if p.reset == "set" and time == "next":
        before = np.where(late, p.v_reset, before)
    v = p.alpha * before + p.gain * x + p.leak
    if p.reset == "set" and time == "next_all":
        v = np.where(late, p.v_reset, v)
    if p.reset == "subtract" and time != "now":
        v = v - _taken(p, late)
    if time == "recheck":
        return _recheck(p, state, v, late)
    return _fire(p, state, v)


def integer_step(p: QuantizedPopulation, numerics: Numerics, state: State, acc: Array) -> Array:
    bits, rounding = numerics.decay_bits, numerics.decay_rounding
    x = (acc << p.shift) + p.bias
    if p.beta is not None:
        overflow = numerics.current_overflow or numerics.overflow
        x = decay(state["i"], p.beta, bits, rounding) + x
        x = state["i"] = _bounded(x, numerics.current_max, overflow)
    late = _late(p, state["v"])
    v = decay(state["v"], p.alpha, bits, rounding) + x + p.leak
    if _time(p) == "next":
        v = v - _taken(p, late)
    v = _bounded(v, numerics.state_max, numerics.overflow)
    if _time(p) == "recheck":
        return _recheck(p, state, v - _taken(p, late), late)
    return _fire(p, state, v)


def _bounded(value: Array, limit: int, overflow: Overflow) -> Array:
    if overflow == "saturate":
        return saturate(value, limit)
    return wrap(value, (limit + 1).bit_length())


def _above(p: Population | QuantizedPopulation, v: Array) -> Array:
    return np.asarray(v >= p.threshold if p.compare == "ge" else v > p.threshold)


def _time(p: Population | QuantizedPopulation) -> ResetTime:
    return "now" if p.threshold is None else p.reset_time


def _late(p: Population | QuantizedPopulation, v: Array) -> Array:
    """Whether the membrane a step starts from is above its threshold, if the reset asks that."""
    if _time(p) == "now":
        return np.zeros(v.shape, dtype=bool)
    return _above(p, v)


def _taken(p: Population | QuantizedPopulation, where: Array) -> Array:
    return np.asarray(np.where(where, 0 if p.threshold is None else p.threshold, 0))


def _recheck(p: Population | QuantizedPopulation, state: State, v: Array, late: Array) -> Array:
    """Fire where `v` is above the threshold, which `late` took once already."""
    fired = _above(p, v)
    state["v"] = np.where(fired == late, v, np.where(fired, v - p.threshold, v + p.threshold))
    return fired


def _fire(p: Population | QuantizedPopulation, state: State, v: Array) -> Array:
    """Compare, reset and refractory period; returns what the population sends."""
    if p.threshold is None:
        state["v"] = v
        return v
    waiting = state["wait"] > 0
    v = np.where(waiting, state["v"], v)
    fired = _above(p, v) & ~waiting
    after = v - p.threshold if p.reset == "subtract" else np.broadcast_to(p.v_reset, v.shape)
    keeps = p.reset == "none" or p.reset_time != "now"
    state["v"] = v if keeps else np.where(fired, after, v)
    state["wait"] = np.where(fired, p.refractory, np.maximum(state["wait"] - 1, 0))
    return fired
