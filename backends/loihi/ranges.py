"""The ranges of Loihi's registers, and one message for every value outside of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.backends.loihi.weights import Signs, weight_range
from snnstack.errors import Problem
from snnstack.ir.given import integers
from snnstack.ir.nodes import Array, Shape
from snnstack.ir.step import size


@dataclass(frozen=True)
class Register:
    """One register: its name in messages, and the lowest and the highest value it holds."""

    name: str
    low: int
    high: int
    what: str


REGISTERS = {
    r.name: r
    for r in (
        Register("du", 0, 4095, "12 bits, unsigned"),
        Register("dv", 0, 4095, "12 bits, unsigned"),
        Register("i_decay", 0, 4096, "12 bits and the offset bit"),
        Register("v_decay", 0, 4096, "12 bits and the offset bit"),
        Register("vth_mant", 0, 2**17 - 1, "17 bits, unsigned"),
        Register("bias_mant", -(2**12), 2**12 - 1, "13 bits, signed"),
        Register("bias_exp", 0, 7, "3 bits, unsigned"),
        Register("refractory", 1, 64, "steps; 1 is none"),
        Register("delay", 0, 62, "steps"),
        Register("v_init", -(2**23) + 1, 2**23 - 1, "24 bits, saturating"),
        Register("reset_interval", 1, 2**31 - 1, "steps; None is never"),
        Register("reset_offset", 0, 2**31 - 1, "steps"),
        Register("weight exponent", -8, 7, "4 bits, signed"),
        Register("vth", 0, 2**23 - 1, "24 bits, after the shift by the exponents"),
        Register("bias", -(2**23), 2**23 - 1, "24 bits, after the shift by the exponents"),
        Register("state_exp", 0, 7, "3 bits, unsigned"),
        Register("spike_exp", 0, 7, "3 bits, unsigned"),
    )
}
"""Widths: Davies et al., IEEE Micro 38(1), 2018, and the declarations of Lava's processes."""


def register(where: str, name: str, value: Any, shape: Shape, problems: list[Problem]) -> Array:
    """`value` of one register for every neuron: int64 [n], checked against its range.

    A scalar, [n], or anything that broadcasts to `shape`.
    """
    array = integers(where, name, value, problems)
    if array.ndim == 1 and len(array) == size(shape):
        array = array.reshape(shape)
    problems += outside(where, name, array)
    return spread(where, name, array, shape, problems)


def spread(where: str, name: str, array: Array, shape: Shape, problems: list[Problem]) -> Array:
    """A value for every neuron of `shape`, from what broadcasts to it."""
    try:
        return np.broadcast_to(array, shape).reshape(-1).copy()
    except ValueError:
        what = f"{name} has shape {list(array.shape)}, which does not fit {list(shape)}"
        problems.append(Problem(where, what, "give one value, or one per neuron"))
        return np.zeros(size(shape), dtype=np.int64)


def outside(where: str, name: str, values: Any) -> Iterator[Problem]:
    """A problem with the worst of `values` if one leaves the register's range."""
    limits, found = REGISTERS[name], np.asarray(values)
    yield from _outside(where, name, found, (limits.low, limits.high), limits.what)


def weight_outside(where: str, stored: Array, signs: Signs) -> Iterator[Problem]:
    """A problem with the worst stored weight that leaves the range of its sign mode."""
    yield from _outside(where, "weight", stored, weight_range(signs), f"{signs} weights")


def _outside(
    where: str, name: str, found: Array, limits: tuple[int, int], why: str
) -> Iterator[Problem]:
    if not found.size:
        return
    low, high = limits
    worst = int(found.max()) if found.max() > high else int(found.min())
    if not low <= worst <= high:
        yield Problem(where, f"{name} is {worst}, outside {low}..{high}", why)
