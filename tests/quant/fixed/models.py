"""Neurons of many kinds in real numbers, with inputs that keep them busy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Neurons, Next
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.dynamics.neurons.two_receptor import TWO_RECEPTOR
from snnstack.dynamics.terms import decay, exp, sigmoid, tanh, where

N, BATCH = 6, 2


def fields(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name) for name in names)


def alif(n: Names, x: E) -> Next:
    """Bellec et al. 2018, eq. 2."""
    v = decay(n.v, n.alpha) + x
    a = decay(n.a, n.rho)
    fired = v > n.threshold + a
    return Next({"v": where(fired, v - n.threshold, v), "a": where(fired, a + n.jump, a)}, fired)


def izhikevich(n: Names, x: E) -> Next:
    """Izhikevich 2003, Euler with half a millisecond."""
    v = n.v + 0.5 * (0.04 * n.v * n.v + 5 * n.v + 140 - n.u + x)
    u = n.u + 0.5 * n.a * (n.b * n.v - n.u)
    fired = v >= 30
    return Next({"v": where(fired, n.c, v), "u": where(fired, u + n.d, u)}, fired)


def adex(n: Names, x: E) -> Next:
    """Brette and Gerstner 2005, forward Euler; mV, ms, nA, nS."""
    rise = n.g * (n.el - n.v) + n.g * n.slope * exp((n.v - n.vt) / n.slope)
    v = n.v + n.dt / n.c * (rise - n.w + x)
    w = n.w + n.dt / n.tau_w * (n.a * (n.v - n.el) - n.w)
    fired = v > 0
    return Next({"v": where(fired, n.v_reset, v), "w": where(fired, w + n.b, w)}, fired)


def resonator(n: Names, x: E) -> Next:
    """Izhikevich 2001: a damped rotation; a spike leaves it at (0, 1)."""
    re = n.c * n.re - n.s * n.im + x
    im = n.s * n.re + n.c * n.im
    fired = im > n.threshold
    return Next({"re": where(fired, 0, re), "im": where(fired, 1.0, im)}, fired)


def gated(n: Names, up: E, z: E, r: E) -> Next:
    """A gated unit that sends what is above its threshold (Subramoney et al. 2023)."""
    u = sigmoid(up + n.bias)
    candidate = tanh(z + r * n.y)
    c = u * candidate + (1 - u) * n.c
    above = c > n.threshold
    sent = where(above, c, 0)
    return Next({"c": c - where(above, n.threshold, 0), "y": sent}, sent)


def s4d(n: Names, x: E) -> Next:
    """One complex mode a neuron, diagonal (Gu et al. 2022)."""
    re = n.a_re * n.re - n.a_im * n.im + n.b * x
    im = n.a_im * n.re + n.a_re * n.im
    return Next({"re": re, "im": im}, 2 * (n.c_re * re - n.c_im * im) + n.d * x)


@dataclass(frozen=True)
class Case:
    """Neurons and what draws their inputs in real units [step, batch, n]."""

    neurons: Neurons
    draw: Callable[[Any, int], dict[str, Any]]
    scale: Any


def pulses(rate: float, size: float, mean: float = 0.0) -> Callable[[Any, int], Any]:
    """Events of `size` with a probability, and a constant."""

    def drawn(rng: Any, steps: int) -> Any:
        return mean + size * (rng.random((steps, BATCH, N)) < rate)

    return drawn


def held(low: float, high: float) -> Callable[[Any, int], Any]:
    """A current between two limits, another every 50 steps."""

    def drawn(rng: Any, steps: int) -> Any:
        return np.repeat(rng.uniform(low, high, (steps // 50 + 1, BATCH, N)), 50, 0)[:steps]

    return drawn


def case(model: Model, values: Any, scale: Any, initial: Any, options: Any, **draw: Any) -> Case:
    neurons = Neurons(model, N, "float64", values, options, initial)

    def drawn(rng: Any, steps: int) -> dict[str, Any]:
        return {name: f(rng, steps) for name, f in draw.items()}

    return Case(neurons, drawn, scale)


def spread(low: float, high: float) -> Any:
    return np.linspace(low, high, N)


ADEX = {"g": 30.0, "el": -70.6, "vt": -50.4, "slope": 2.0, "c": 281.0, "tau_w": 144.0,
        "a": 4.0, "b": 80.5, "v_reset": -70.6, "dt": 0.1}  # fmt: skip
COBA = {"decay_e": math.exp(-0.2), "decay_i": math.exp(-0.1), "weight_e": 0.6, "weight_i": 1.7,
        "rest": -60.0, "reversal_e": 0.0, "reversal_i": -80.0, "rate": 0.05,
        "threshold": -50.0, "v_reset": -60.0, "pause": 5}  # fmt: skip

CASES = {
    "cuba_lif": case(
        CUBA_LIF,
        {"alpha": spread(0.9, 0.99), "beta": 0.8, "threshold": 1.0, "gain": 0.3, "bias": 0.01},
        spread(90.0, 130.0),
        {},
        {"current": True},
        x=pulses(0.2, 0.4),
    ),
    "alif": case(
        Model("alif", ("v", "a"), fields("alpha", "rho", "threshold", "jump"), alif),
        {"alpha": 0.95, "rho": spread(0.99, 0.999), "threshold": spread(0.5, 1.5), "jump": 0.2},
        spread(50.0, 70.0),
        {},
        {},
        x=pulses(0.3, 0.3),
    ),
    "izhikevich": case(
        Model("izhikevich", ("v", "u"), fields("a", "b", "c", "d"), izhikevich),
        {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0},
        spread(10.0, 13.0),
        {"v": -65.0, "u": -13.0},
        {},
        x=held(5.0, 12.0),
    ),
    "adex": case(
        Model("adex", ("v", "w"), fields(*ADEX), adex),
        ADEX,
        0.9,
        {"v": -70.6},
        {},
        x=held(500.0, 1000.0),
    ),
    "coba": case(
        TWO_RECEPTOR,
        COBA,
        7.0,
        {"v": -60.0},
        {"conductances": True},
        excitatory=pulses(0.1, 1.0),
        inhibitory=pulses(0.02, -1.0),
    ),
    "resonator": case(
        Model("resonator", ("re", "im"), fields("c", "s", "threshold"), resonator),
        {"c": 0.99 * np.cos(spread(0.1, 0.5)), "s": 0.99 * np.sin(spread(0.1, 0.5)),
         "threshold": 1.0},
        33.0,
        {},
        {},
        x=pulses(0.1, 0.4),
    ),
    "gated": case(
        Model("gated", ("c", "y"), fields("bias", "threshold"), gated,
              inputs=("up", "z", "r"), sends="value"),
        {"bias": -1.0, "threshold": spread(0.2, 0.4)},
        40.0,
        {},
        {},
        up=held(-3.0, 3.0),
        z=held(-2.0, 2.0),
        r=held(-1.0, 1.0),
    ),
    "s4d": case(
        Model("s4d", ("re", "im"), fields("a_re", "a_im", "b", "c_re", "c_im", "d"), s4d,
              sends="value"),
        {"a_re": 0.98 * np.cos(spread(0.05, 0.8)), "a_im": 0.98 * np.sin(spread(0.05, 0.8)),
         "b": 0.1, "c_re": spread(-1, 1), "c_im": 0.5, "d": 0.3},
        25.0,
        {},
        {},
        x=held(-1.0, 1.0),
    ),
}  # fmt: skip
