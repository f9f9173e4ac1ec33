"""Scales of ports: taken over by a whole homogeneous step, or multiplied away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.spans import Span
from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.quant.fixed.degrees import Name, degrees
from snnstack.quant.fixed.plain import Plain

Array = NDArray[Any]
MOST_RATIO = 64.0
"""Free scales that differ more would cost the states of some neurons too many bits."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """A step in its own units: real ones times `factor` [n] or [] of each state.

    `bits`: of ports that are a power of two then, integers a unit as an exponent; `integers`: a
    unit of all others, [n] or [].
    """

    plain: Plain
    ranges: Mapping[str, Span]
    factor: Mapping[str, Array]
    bits: Mapping[str, int]
    integers: Mapping[str, Array]


def scaled(
    neurons: Neurons, plain: Plain, ranges: Mapping[str, Span], ports: Mapping[str, Any]
) -> Scaled:
    """Take over the scales of ports wherever the step is homogeneous in them."""
    integers = {k: np.asarray(v, dtype=np.float64) for k, v in ports.items()}
    _usable(neurons, integers)
    ones = {s: np.ones(()) for s in neurons.model.states}
    found = Scaled(plain, dict(ranges), ones, {}, integers)
    left = [p for p in neurons.model.inputs if p in ports]
    while left:
        alike = frozenset(p for p in left if np.array_equal(integers[p], integers[left[0]]))
        for group in (alike, *(frozenset({p}) for p in sorted(alike) if len(alike) > 1)):
            if not group & {*found.bits}:
                found = _taken(neurons, found, group)
        left = [p for p in left if p not in alike]
    return found


def _usable(neurons: Neurons, integers: Mapping[str, Array]) -> None:
    where = neurons.model.name
    lost = [p for p in neurons.model.inputs if p not in integers]
    problems = [Problem(where, f"no scale of the input {p!r}") for p in lost]
    for p, scale in integers.items():
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            problems.append(Problem(where, f"a scale of the input {p!r} is not above 0"))
    raise_if_any(ModelError, problems)


def _taken(neurons: Neurons, s: Scaled, group: frozenset[str]) -> Scaled:
    scale = s.integers[min(group)]
    exponent = round(float(np.log2(scale).mean()))
    c = scale / 2.0**exponent
    bits = {**s.bits, **dict.fromkeys(group, exponent)}
    if (c == 1).all():
        return replace(s, bits=bits)
    # read as numbers, states of neurons that never fire are compared with each other
    compared = not neurons.fires and scale.ndim and (scale != scale.flat[0]).any()
    fixed = frozenset(neurons.model.states if compared else ())
    found = degrees(neurons, s.plain, group, fixed)
    if found is None or c.max() / c.min() > MOST_RATIO:
        return s
    return replace(_multiplied(s, c, found), bits=bits)


def _multiplied(s: Scaled, c: Array, degree: Mapping[Name, Any]) -> Scaled:
    """Every leaf times `c` to its degree."""

    def power(kind: str, name: str) -> Array:
        return np.asarray(c ** float(degree.get((kind, name), 0)))

    values = {k: v * power("param", k) for k, v in s.plain.values.items()}
    factor = {k: v * power("state", k) for k, v in s.factor.items()}
    ranges = dict(s.ranges)
    for name, span in s.ranges.items():
        by = power("state" if name in factor else "input", name)
        ends = [end * extreme for end in span for extreme in (float(by.min()), float(by.max()))]
        ranges[name] = min(ends), max(ends)
    return replace(s, plain=replace(s.plain, values=values), factor=factor, ranges=ranges)
