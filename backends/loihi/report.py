"""What each register of a population got and what it cost, in the form that reports show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snnstack.backends.loihi.layer import Layer
from snnstack.backends.loihi.network import (
    ChipNetwork,
    ChipPopulation,
    Connection,
    Programmed,
    SigmaDelta,
)
from snnstack.backends.loihi.programmed import program_registers
from snnstack.backends.loihi.registers import DECAY_ONE, THRESHOLD_SHIFT, nearest_bias
from snnstack.ir.nodes import Array
from snnstack.ir.step import Projection
from snnstack.quant.network import QuantizedPopulation


def chip_registers(network: ChipNetwork, p: ChipPopulation) -> dict[str, Any]:
    """Registers and weight formats of one population of a network in chip units."""
    into = {f"{c.source} -> {c.target}": _format(c) for c in network.into(p.name)}
    if isinstance(p, Programmed):
        return {**program_registers(p), "weights": into}
    if isinstance(p, SigmaDelta):
        vth = span(p.threshold)
        return {"vth": vth, "bias": span(p.bias), "state_exp": p.exponent, "weights": into}
    bias = nearest_bias(p.bias.astype(np.float64))
    return {
        "vth_mant": None if p.threshold is None else span(p.threshold >> THRESHOLD_SHIFT),
        "i_decay": span(p.i_decay),
        "v_decay": span(p.v_decay),
        "bias_mant": span(bias.mantissa),
        "bias_exp": span(bias.exponent),
        "refractory": p.refractory,
        "weights": into,
    }


def span(values: Array) -> list[int]:
    """[value], or [least, most] where neurons differ."""
    return sorted({int(values.min()), int(values.max())}) if len(values) else []


def cost(
    layer: Layer, units: int, population: QuantizedPopulation, integer: Sequence[Projection]
) -> dict[str, float]:
    """What rounding to the registers changed, as the largest of all neurons.

    Decays: the factor itself. Constant input into current and membrane: thresholds per step.
    Weights, by projection: root mean square of the change over that of the weights.
    """
    p, most = layer.population, float(1 << THRESHOLD_SHIFT) * units
    constant = np.abs(layer.into_membrane - population.leak / most).max(initial=0.0)
    found = {"v_decay": _largest(p.alpha, population.alpha), "bias": float(constant)}
    if p.beta is not None and population.beta is not None:
        found["i_decay"] = _largest(p.beta, population.beta)
        current = np.abs(layer.into_current - population.bias / most).max(initial=0.0)
        found["constant_current"] = float(current)
    for real, whole in zip(layer.into, integer, strict=True):
        change = whole.synapses.weight / units - real.synapses.weight
        size = float(np.sqrt(np.mean(real.synapses.weight**2))) if change.size else 0.0
        rms = float(np.sqrt(np.mean(change**2))) if change.size else 0.0
        found[f"weights {real}"] = rms / size if size else 0.0
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def _largest(real: Array, factor: Array) -> float:
    return float(np.abs(real - factor / DECAY_ONE).max(initial=0.0))


def _format(c: Connection) -> str:
    return f"{c.signs} x 2^{c.exponent}, {c.bits} bits"
