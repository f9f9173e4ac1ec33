"""Neurons given per step, as NIR nodes with time constants: `discretise` gives the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.ir.nodes import IF, LI, LIF, Array, CubaLI, CubaLIF, I, Leaf, Shape

ENDLESS = 2.0**70
"""Steps of a time constant whose decay is 1, where other neurons of the population do decay."""


def per_step(
    shape: Shape,
    dt: float,
    *,
    decay: Any,
    gain: Any = 1.0,
    current: Any = None,
    gain_in: Any = 1.0,
    leak: Any = 0.0,
    v_threshold: Any = 1.0,
    v_reset: Any = 0.0,
    fires: bool = True,
    **said: Any,
) -> Leaf:
    """The node whose forward-Euler step with `dt` is, for each neuron,

    i = current i + gain_in x                  only with `current`
    v = decay v + gain (i or x) + (1 - decay) leak
    """
    tau, ratio = _constant(_full(decay, shape), dt)
    known: dict[str, Any] = {"r": _full(gain, shape) / ratio, "v_leak": _full(leak, shape)}
    fire: dict[str, Any] = {}
    if fires:
        levels = {"v_threshold": _full(v_threshold, shape), "v_reset": _full(v_reset, shape)}
        fire = {**levels, **said}
    if current is not None:
        tau_syn, ratio_in = _constant(_full(current, shape), dt)
        known |= {"tau_syn": tau_syn, "tau_mem": tau, "w_in": _full(gain_in, shape) / ratio_in}
        return CubaLIF(**known, **fire) if fires else CubaLI(**known)
    if np.all(_full(decay, shape) == 1.0):
        r = _full(gain, shape) / dt
        return IF(r=r, **fire) if fires else I(r=r)
    return LIF(tau=tau, **known, **fire) if fires else LI(tau=tau, **known)


def _full(values: Any, shape: Shape) -> Array:
    return np.array(np.broadcast_to(np.asarray(values, dtype=np.float64), shape))


def _constant(decay: Array, dt: float) -> tuple[Array, Array]:
    """(tau, dt / tau) with `1 - dt / tau` equal to `decay`, to the last bit where that exists."""
    left = np.where(decay == 1.0, 1.0 / ENDLESS, 1.0 - decay)
    tau = dt / left
    for near in (np.nextafter(tau, 0.0), np.nextafter(tau, np.inf)):
        better = (1.0 - dt / near == decay) & (1.0 - dt / tau != decay)
        tau = np.where(better, near, tau)
    return tau, dt / tau
