"""Populations from files: values and options that their model does not have are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnstack.door import shown
from snnstack.errors import Problem
from snnstack.ir.lif import missing
from snnstack.quant.network import QuantizedPopulation
from snnstack.saved_tables import AGAIN

WORDS = (bool, int, str, type(None))


def written_problems(p: QuantizedPopulation) -> Iterator[Problem]:
    """What the trace of its model would stumble over."""
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


def _chosen(p: QuantizedPopulation, name: str, value: Any) -> bool:
    model = p.model
    if name not in model.options or not isinstance(value, WORDS):
        return False
    if name in model.choices:
        return value in model.choices[name]
    return type(value) is type(model.options[name])
