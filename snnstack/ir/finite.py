"""Numbers that can be reckoned with: those of single precision, in a model and in its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Array, Cells
from snnstack.ir.step import StepGraph

LARGEST = float(np.finfo(np.float32).max)
"""No tool trains beyond single precision; the squares of such numbers are still finite here."""


def parameters_are_finite(graph: Graph) -> Iterator[Problem]:
    """No parameter is NaN, infinite or beyond single precision."""
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            continue
        numbers = {f.name: getattr(node, f.name) for f in fields(node)}
        numbers |= {**node.values, **node.initial} if isinstance(node, Cells) else {}
        for key, value in numbers.items():
            yield from _of(name, key, value, "export the model again after checking its training")


def check_steps(steps: StepGraph) -> None:
    """ModelError where products of parameters leave single precision, as gains in a row do."""
    hint = "rescale the layers and gains that lead there"
    numbers: list[tuple[str, str, Any]] = [
        (str(p), "weight", p.synapses.weight) for p in steps.projections
    ]
    for p in steps.populations:
        numbers += [(p.name, key, value) for key, value in {**p.initial, **p.values}.items()]
    raise_if_any(ModelError, [problem for one in numbers for problem in _of(*one, hint)])


def _of(name: str, key: str, value: Any, hint: str) -> Iterator[Problem]:
    if isinstance(value, (np.ndarray, float)) and np.asarray(value).dtype.kind == "f":
        yield from _not_finite(name, key, np.asarray(value), hint)


def _not_finite(name: str, key: str, values: Array, hint: str) -> Iterator[Problem]:
    most = min(LARGEST, float(np.finfo(values.dtype).max))
    wrong = np.argwhere(~(np.abs(values) <= most))
    if len(wrong):
        first = values[tuple(wrong[0])]
        word = "NaN" if np.isnan(first) else f"{first:g}"
        at = f" at {wrong[0].tolist()}" if values.ndim else ""
        kind = "NaN or infinite"
        if np.isfinite(values[tuple(wrong.T)]).all():
            kind = f"beyond {LARGEST:.3g}, which single precision ends with"
        what = f"{key} has {len(wrong)} of {values.size} values {kind}, first {word}{at}"
        yield Problem(name, what, hint)
