"""Expressions of different steps compared: every step of a network must say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snnstack.errors import Problem
from snnstack.frontends.torch_modules import said
from snnstack.frontends.torch_record import Recorder
from snnstack.frontends.torch_values import Value


def expression_key(value: Value, recorder: Recorder, call: int) -> Any:
    """Equal for expressions that mean the same, in whatever step they were recorded."""
    if value.op in ("spikes", "state"):
        name = value.key[0]
        ago = 0 if name in recorder.sequences else call - value.key[1]
        return (value.op, name, ago, *value.key[2:])
    if value.op == "x":
        at = value.key if value.key in (None, "all") else call - value.key
        return ("x", at, value.data.tobytes(), value.shape)
    inner = tuple(expression_key(v, recorder, call) for v in value.args)
    if value.op == "at":
        return ("at", call - value.key, inner)
    return (value.op, value.key, value.shape, inner)


def steps_agree(recorder: Recorder) -> Iterator[Problem]:
    """Every neuron must be given the same expression in every step, but for the first few."""
    counts = {n: len(c) for n, c in recorder.calls.items() if n not in recorder.sequences}
    least = min(counts.values(), default=recorder.looped)
    if len(set(counts.values())) > 1:
        for name in (name for name, count in counts.items() if count > least):
            what = f"is called {counts[name]} times, others {least} times"
            hint = "call every neuron once a step, each layer its own"
            yield Problem(said(name, recorder.modules[name][0]), what, hint)
        return
    for name, calls in recorder.calls.items():
        where = said(name, recorder.modules[name][0])
        # Neurons that take all steps at once read what others did in their last.
        first = least - 1 if name in recorder.sequences and least else 0
        keys = [expression_key(value, recorder, first + k) for k, value in enumerate(calls)]
        late = 0 if name in recorder.sequences else _longest(keys[-1])
        if late and late + 1 >= len(keys):
            what = f"looks back {late} steps of {len(keys)}"
            yield Problem(where, what, "read sample[t] in step t, or give more steps")
        elif any(key != keys[-1] for key in keys[late:]):
            what = "is not given the same in every step"
            yield Problem(where, what, "the same layers must run in every step")
        elif _offset(keys[-1]) < 0:
            what = "reads the input of a later step"
            yield Problem(where, what, "read sample[t], or earlier ones, in step t")


def _longest(key: Any) -> int:
    """The largest number of steps that a key looks back."""
    if isinstance(key, tuple):
        if len(key) > 2 and key[0] in ("spikes", "state"):
            return int(key[2])
        if len(key) == 4 and key[0] == "x":
            return key[1] if isinstance(key[1], int) else 0
        if len(key) == 3 and key[0] == "at":
            return int(key[1]) + _longest(key[2])
        return max((_longest(part) for part in key), default=0)
    return 0


def _offset(key: Any) -> int:
    """How many steps ago the input is read at the latest; below 0: ahead."""
    if isinstance(key, tuple):
        if len(key) == 4 and key[0] == "x":
            return key[1] if isinstance(key[1], int) else 0
        return min((_offset(part) for part in key), default=0)
    return 0
