"""What each register of a population holds, in the form that reports show."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, ChipPopulation, Connection, Cuba
from snnstack.backends.loihi.registers import THRESHOLD_SHIFT, nearest_bias
from snnstack.ir.nodes import Array


def chip_registers(network: ChipNetwork, p: ChipPopulation) -> dict[str, Any]:
    """Registers and weight formats of one population of a network in chip units."""
    into = {f"{c.source} -> {c.target}": _format(c) for c in network.into(p.name)}
    if not isinstance(p, Cuba):
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


def _format(c: Connection) -> str:
    return f"{c.signs} x 2^{c.exponent}, {c.bits} bits"
