"""Ranges from a calibration, and the ranges that formats are chosen for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.run_numpy import evaluated
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import traced
from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.quant.fixed.intervals import finite, real_spans, wider
from snnstack.quant.fixed.plain import Plain, named_functions

Ranges = dict[str, Span]
HUGE = 1e30
"""Beyond this a state has run away."""
QUARTERS = 4
GROWTH = 2.0
"""A state whose largest value grows at least so much from quarter to quarter has no bound."""
ROUNDS, REACH = 8, 4.0


def calibrated(neurons: Neurons, inputs: Mapping[str, NDArray[Any]]) -> Ranges:
    """The least and the largest value of every state, of every input and of what is sent.

    `inputs`: by port, sums in real units [step, batch, n]. Also of the arguments of functions,
    as "exp 0", in the order of the step. ModelError for states that run away.
    """
    step = traced(neurons)
    inner = {f"of {k}": e.args[-1] for k, e in named_functions(step).items()}
    step = replace(step, roots={**step.roots, **inner})
    first = next(iter(inputs.values()))
    state = {
        s: np.broadcast_to(neurons.start(s), first.shape[1:]).astype(np.float64)
        for s in neurons.model.states
    }
    found: Ranges = {s: _over({}, s, v) for s, v in state.items()}
    peaks = {s: np.zeros(QUARTERS) for s in state}
    for t in range(len(first)):
        given = {name: np.asarray(x[t], dtype=np.float64) for name, x in inputs.items()}
        with np.errstate(all="ignore"):
            values = evaluated(step, state, given, np.dtype(np.float64))
        state |= {s: np.broadcast_to(values[f"state {s}"], v.shape).astype(np.float64)
                  for s, v in state.items() if f"state {s}" in values}  # fmt: skip
        _bounded(neurons, state, t)
        for s, v in state.items():
            quarter = peaks[s][t * QUARTERS // len(first) :][:1]
            np.maximum(quarter, np.abs(v).max(), out=quarter)
        new = {**state, **given, **{k: values[f"of {k.removeprefix('of ')}"] for k in inner}}
        if neurons.model.sends == "value" and "sent" in values:
            new["sent"] = values["sent"]
        found |= {k.removeprefix("of "): _over(found, k.removeprefix("of "), v)
                  for k, v in new.items()}  # fmt: skip
    _settling(neurons, peaks)
    return found


def _over(found: Mapping[str, Span], name: str, value: Any) -> Span:
    low, high = float(np.min(value)), float(np.max(value))
    before = found.get(name, (low, high))
    return min(low, before[0]), max(high, before[1])


def _bounded(neurons: Neurons, state: Mapping[str, Any], t: int) -> None:
    raise_if_any(
        ModelError,
        [
            Problem(
                neurons.model.name,
                f"state {s!r} is unbounded: it leaves +-{HUGE:g} in step {t} of the calibration",
                "bound it with least and most, or let it decay",
            )
            for s, v in state.items()
            if not np.all(np.abs(v) <= HUGE)
        ],
    )


def _settling(neurons: Neurons, peaks: Mapping[str, NDArray[Any]]) -> None:
    def grows(peak: NDArray[Any]) -> bool:
        return bool(peak[0] > 0 and (peak[1:] >= GROWTH * peak[:-1]).all())

    raise_if_any(
        ModelError,
        [
            Problem(
                neurons.model.name,
                f"state {s!r} is unbounded: its largest value grows from {p[0]:.3g} to {p[-1]:.3g} "
                "over the quarters of the calibration",
                "bound it with least and most, or let it decay",
            )
            for s, p in peaks.items()
            if grows(p)
        ],
    )


def chosen_ranges(
    neurons: Neurons,
    plain: Plain,
    ranges: Mapping[str, Span],
    margin: float,
    whole: frozenset[str],
    sums: Mapping[str, Span],
) -> Ranges:
    """What states, inputs and arguments of functions may be, in the units of `plain`.

    Wider than calibrated by `margin`; as wide as it can become where that is known from the step
    itself. `whole`: states that are whole numbers. `sums`: bounds of inputs.
    """
    where = neurons.model.name
    wanted = [*neurons.model.states, *neurons.model.inputs]
    lost = [name for name in wanted if name not in ranges]
    raise_if_any(ModelError, [Problem(where, f"no calibrated range of {k!r}") for k in lost])
    endless = [k for k, span in ranges.items() if not finite(span)]
    raise_if_any(
        ModelError,
        [Problem(where, f"the range of {k!r} is {ranges[k]}, unbounded") for k in endless],
    )
    across = all(e.op != "reciprocal" for e in plain.nodes)
    found = {name: wider(span, margin, across) for name, span in ranges.items()}
    for name, (low, high) in ranges.items():
        if name.startswith("exp "):
            found[name] = found[name][0], high + math.log1p(2 * margin)
        if low == high == 0 and name in neurons.model.inputs:
            found[name] = (-1.0, 1.0)
    found |= {name: sums[name] for name in neurons.model.inputs if name in sums}
    _reach(neurons, plain, ranges, found, whole)
    return found


def _reach(
    neurons: Neurons,
    plain: Plain,
    ranges: Mapping[str, Span],
    found: Ranges,
    whole: frozenset[str],
) -> None:
    """Widen, or narrow, ranges of states to those from which no step leads out, where there are
    such of a like size.
    """
    trial = {
        k: ranges[k] if k in whole or (k in neurons.model.states and 0 in ranges[k]) else v
        for k, v in found.items()
    }  # begin with ranges that end at 0: few states cross it
    for _ in range(ROUNDS):
        spans = real_spans(plain, trial)
        new = {s: _hull(trial[s], spans[id(plain.roots[f"state {s}"])])
               for s in neurons.model.states if f"state {s}" in plain.roots}  # fmt: skip
        if all(_within(span, trial[s]) for s, span in new.items()):
            break
        trial |= {s: v for s, v in new.items() if _like(v, found[s], s in whole)}
    spans = real_spans(plain, {**found, **trial})
    for s in neurons.model.states:
        root = plain.roots.get(f"state {s}")
        if root is None:
            found[s] = ranges[s]
        elif _within(spans[id(root)], trial[s]) and _like(trial[s], found[s], s in whole):
            found[s] = trial[s]
        elif found[s][0] == found[s][1]:
            found[s] = _hull(found[s], spans[id(root)])


def _hull(a: Span, b: Span) -> Span:
    return min(a[0], b[0]), max(a[1], b[1])


def _within(a: Span, b: Span) -> bool:
    slack = 1e-12 * max(abs(b[0]), abs(b[1]))
    return a[0] >= b[0] - slack and a[1] <= b[1] + slack


def _like(a: Span, b: Span, whole: bool) -> bool:
    """Whether `a` is not much wider than `b`."""
    if not finite(a):
        return False
    most = max(abs(b[0]), abs(b[1]))
    return max(abs(a[0]), abs(a[1])) <= (2.0**20 if whole or not most else REACH * most)


def refuse_clocks(neurons: Neurons, plain: Plain, found: Mapping[str, Span]) -> None:
    """ModelError for a state that only counts on: it reads the time."""
    for s in neurons.model.states:
        root = plain.roots.get(f"state {s}")
        if root is None or root.op not in ("add", "sub"):
            continue
        left, right = root.args
        if root.op == "add" and right.op == "state":
            left, right = right, left
        if left.op == "state" and left.value == s and right.op in ("const", "param"):
            raise fail(
                ModelError,
                neurons.model.name,
                f"its step reads the time: state {s!r} becomes {root} in every step, without bound",
                "let it begin again with where(...), or leave it out",
            )
