"""Populations from files: values and options that their model does not have are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnstack.door import shown
from snnstack.errors import Problem
from snnstack.ir.lif import missing
from snnstack.ir.step import LARGEST_VALUE
from snnstack.saved_tables import AGAIN, INT32, Range, array_problems

WORDS = (bool, int, str, type(None))


def cell_problems(p: Any, largest: int = LARGEST_VALUE) -> Iterator[Problem]:
    """Numbers of a model of any kind that are not integers of 32 bits, one or one a neuron.

    `largest`: magnitude that an event can carry.
    """
    for name, value in {**p.values, **p.initial}.items():
        where, array = f"{p.name}, {name}", np.asarray(value)
        if array.dtype.kind not in "iu":
            yield Problem(where, f"holds {array.dtype}, not integers", AGAIN)
        elif array.ndim:
            yield from array_problems(where, array, (p.n,), Range())
        elif not -INT32 - 1 <= int(array) <= INT32:
            yield Problem(where, f"is {int(array)}, beyond 32 bits", AGAIN)
    valued = p.model.sends == "value"
    if not int(valued) <= p.payload <= (largest if valued else 0):
        yield Problem(p.name, f"{p.model.name} sends values up to {shown(p.payload)}", AGAIN)


def written_problems(p: Any) -> Iterator[Problem]:
    """What the trace of a population's or layer's model would stumble over."""
    known = {f.name for f in p.model.parameters}
    for name, value in p.values.items():
        if name not in known:
            yield Problem(p.name, f"has {shown(name)}, which {p.model.name} does not", AGAIN)
        elif isinstance(value, bool) or not isinstance(value, np.ndarray | int | float):
            yield Problem(f"{p.name}, {name}", f"is no number: {shown(value)}", AGAIN)
    for name in missing(p):
        yield Problem(p.name, f"has no {name}", AGAIN)
    for name in p.initial:
        if name not in p.model.states:
            yield Problem(p.name, f"starts {shown(name)}, which is no state of it", AGAIN)
    for name, value in p.options.items():
        if not _chosen(p, name, value):
            yield Problem(p.name, f"has the option {shown(name)} = {shown(value)}", AGAIN)


def _chosen(p: Any, name: str, value: Any) -> bool:
    model = p.model
    if name not in model.options or not isinstance(value, WORDS):
        return False
    if name in model.choices:
        return value in model.choices[name]
    return type(value) is type(model.options[name])
