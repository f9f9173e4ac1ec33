"""Decays of states: time constants as rounded, and where a slow one comes to rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import E
from snnstack.quant.fixed.plain import Plain, number

Array = NDArray[Any]
SHARE = 2.0**-10
"""Of the range of a state: how far from its steady value it may come to rest."""


def decay_of(root: E, state: str, values: Mapping[str, Any]) -> Array | None:
    """The factor of `state` in its next value while nothing fires; None if that is no number."""
    form = _linear(root, state, values)
    return None if form is None else np.asarray(form)


def _linear(e: E, state: str, values: Mapping[str, Any]) -> Any:
    if e.op == "state":
        return 1.0 if e.value == state else 0.0
    if number(e) or e.op == "input":
        return 0.0
    if e.op == "where":
        return _linear(e.args[2], state, values)
    if e.op in ("add", "sub", "mul"):
        left, right = (_linear(a, state, values) for a in e.args)
        if left is None or right is None:
            return None
        if e.op != "mul":
            return left + right if e.op == "add" else left - right
        for factor, form in ((e.args[0], right), (e.args[1], left)):
            if number(factor):
                return form * (factor.value if factor.op == "const" else values[factor.value])
    return None if _reads(e, state) else 0.0


def _reads(e: E, state: str) -> bool:
    return (e.op == "state" and e.value == state) or any(_reads(a, state) for a in e.args)


def rest(plain: Plain, state: str) -> float:
    """How many integers from its steady value the state may come to rest: half of one a step."""
    factor = _decay(plain, state, plain.values)
    if factor is None:
        return 0.0
    return float(0.5 / (1 - factor).min())


def _decay(plain: Plain, state: str, values: Mapping[str, Any]) -> Array | None:
    root = plain.roots.get(f"state {state}")
    factor = None if root is None else decay_of(root, state, values)
    decays = factor is not None and bool(((factor > 0) & (factor < 1)).all())
    return factor if decays else None


def decay_note(plain: Plain, state: str, rounded: Mapping[str, Any], unit: float) -> str | None:
    """The time constant of a state before and after rounding, and the dead band in real units."""
    before = _decay(plain, state, plain.values)
    after = _decay(plain, state, {**plain.values, **rounded})
    if before is None or after is None:
        return None
    k = int(np.argmax(np.broadcast_to(before, np.broadcast_shapes(before.shape, after.shape))))
    taus = [float(-1 / np.log(np.broadcast_to(f, np.shape(before)).flat[k]))
            for f in (before, np.broadcast_to(after, np.shape(before)))]  # fmt: skip
    dead = rest(plain, state) * unit
    return (
        f"{state}: time constant {taus[0]:.6g} steps, rounded {taus[1]:.6g}; "
        f"rests within {dead:.3g} of its steady value"
    )
