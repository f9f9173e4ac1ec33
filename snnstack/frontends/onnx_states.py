"""Which output of a step is which state's next value: by name, then by what it computes."""

from __future__ import annotations

import re

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_terms import Atom, Terms
from snnstack.frontends.onnx_values import Walk

MARKS = {"next", "new", "out", "output", "after", "n", "in", "input", "prev", "old", "state"}
"""Words by which the names of a state before and after the step may differ."""
APART, IMPOSSIBLE = 1e3, 1e9
"""Costs of an output that the state has no part in, and of one that cannot be it."""
HINT = "return every state after the step, with the shape of its input; call it <state>.next"


def paired(walk: Walk, states: tuple[str, ...]) -> dict[str, str]:
    """{state: the output that is it after the step}; ModelError for one without."""
    onnx = walk.onnx
    found: dict[str, str] = {}
    for state in states:
        same = [o for o in onnx.outputs if _plain(o) == _plain(state) and _fits(walk, state, o)]
        if len(same) == 1 and same[0] not in found.values():
            found[state] = same[0]
    left = [s for s in states if s not in found]
    outputs = [o for o in onnx.outputs if o not in found.values()]
    return {s: ({**found, **_matched(walk, left, outputs)})[s] for s in states}


def _plain(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    return "_".join(w for w in words if w not in MARKS)


def _fits(walk: Walk, state: str, output: str) -> bool:
    return walk.of(state).shape == walk.of(output).shape


def has_part(walk: Walk, state: Atom, terms: Terms) -> bool:
    """Whether a state, or a comparison of it alone, is in `terms`."""
    if state in terms.atoms:
        return True
    firings = (walk.firings[a] for a in terms.atoms if a.kind == "fires")
    return any(f.terms.atoms == {state} for f in firings)


def _matched(walk: Walk, states: list[str], outputs: list[str]) -> dict[str, str]:
    """Every state an output of its own: that it has a part in, if possible in their order."""
    from scipy.optimize import linear_sum_assignment

    for state in states:
        if not any(_fits(walk, state, o) for o in outputs):
            raise fail(ModelError, state, "is a state without an output that could be it", HINT)
    if not states:
        return {}
    first = len(outputs) - len(states)
    costs = np.full((len(states), max(len(outputs), len(states))), IMPOSSIBLE)
    for i, state in enumerate(states):
        for j, output in enumerate(outputs):
            if _fits(walk, state, output):
                part = has_part(walk, Atom("state", state), walk.of(output))
                costs[i, j] = abs(j - first - i) + (0.0 if part else APART)
    rows, columns = linear_sum_assignment(costs)
    for i, j in zip(rows, columns, strict=True):
        if costs[i, j] >= IMPOSSIBLE:
            raise fail(ModelError, states[i], "is a state without an output of its own", HINT)
    return {states[i]: outputs[j] for i, j in zip(rows, columns, strict=True)}
