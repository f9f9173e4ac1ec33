"""The definition: a layer's step in plain numpy, every operation as its row says.

Integers are int64 arrays, in which nothing overflows that the target's own limits do not hold;
real numbers are float64, or float32 with every operation rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import E, ordered
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.trace import Step, traced

Array = NDArray[Any]
State = dict[str, Array]


class Definition:
    """A layer that steps.

    `state` [batch, n] by name; `reads`: what a probe reads of it. `fits`: whether every number
    so far is one that the machine can send.
    """

    def __init__(self, neurons: Neurons, batch: int) -> None:
        self._step = traced(neurons)
        self._type = np.dtype(np.int64 if neurons.integer else neurons.number)
        shape = (batch, neurons.n)
        self.state: State = {
            name: np.broadcast_to(neurons.start(name), shape).astype(self._type)
            for name in neurons.model.states
        }
        self.reads: State = dict(self.state)
        self.fits = True

    def __call__(self, *inputs: Array) -> Array | None:
        """One step on the sums [batch, n] of every input: what is sent, None if nothing ever is."""
        names = self._step.neurons.model.inputs
        given = {name: np.asarray(x, self._type) for name, x in zip(names, inputs, strict=True)}
        found = evaluated(self._step, self.state, given, self._type)
        shape = given[names[0]].shape
        for kind, into in (("state", self.state), ("reads", self.reads)):
            for name in self._step.of(kind):
                value = np.broadcast_to(found[f"{kind} {name}"], shape)
                into[name] = value.astype(self._type)
        shown = self._step.of("reads")
        self.reads |= {name: v for name, v in self.state.items() if name not in shown}
        self.fits = self.fits and bool(np.all(found.get("fits", True)))
        return None if "sent" not in found else np.broadcast_to(found["sent"], shape)


def evaluated(
    step: Step, state: Mapping[str, Array], inputs: Mapping[str, Array], dtype: Any
) -> dict[str, Any]:
    """The value of every root of `step`."""
    done: dict[int, Any] = {}
    for e in ordered(step.roots.values()):
        done[id(e)] = _value(e, [done[id(a)] for a in e.args], step, state, inputs, dtype)
    return {name: done[id(e)] for name, e in step.roots.items()}


def _value(
    e: E,
    args: list[Any],
    step: Step,
    state: Mapping[str, Array],
    inputs: Mapping[str, Array],
    dtype: Any,
) -> Any:
    match e.op:
        case "const":
            return dtype.type(e.value)
        case "state":
            return state[e.value]
        case "input":
            return inputs[e.value]
        case "param":
            return np.asarray(step.neurons.value(e.value), dtype=dtype)
    row = OPS[e.op]
    if e.value is not None:
        args = [e.value, *args]
    return row.exact(*args) if step.neurons.integer else row.real(np, *args)
