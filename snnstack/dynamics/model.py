"""`Model`: a neuron as data. `Neurons`: a model with the numbers of one layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import E

Array = NDArray[Any]
Number = Literal["int32", "int64", "float32", "float64"]
Unit = Literal["volt", "factor", "gain", "shift", "limit", "steps", "raw"]
Sends = Literal["spike", "value", "nothing"]
Values = Mapping[str, Array | int | float]


@dataclass(frozen=True)
class Field:
    """A parameter: its name, what quantisation does with it, and its value where none is given.

    `one`: what a factor of 1 is in fixed point.

    A "volt" is scaled with the membrane, a "factor" becomes fixed point, a "gain" goes into the
    scale; a "shift" and a "limit" exist in integers only; "steps" and "raw" stay as they are.
    """

    name: str
    unit: Unit = "raw"
    default: float | None = None
    one: int = 2**16


@dataclass(frozen=True)
class Next:
    """What one step gives: the next states, what is sent, and what an observer is told.

    `states`: by name; a state that is not named keeps its value. `sent`: a truth value, or the
    number an event carries (0: no event). `reads`: what a probe of a state reads where that is
    not the value that goes on. `active`: whether the neuron had work to do, for counting.
    `fits`: false where a number has left what the machine can send.
    """

    states: Mapping[str, E]
    sent: E | None = None
    reads: Mapping[str, E] = field(default_factory=lambda: MappingProxyType({}))
    active: E | None = None
    fits: E | None = None


@dataclass(frozen=True)
class Model:
    """A neuron model: its states, its parameters, and one step.

    `step(n, *inputs)` gets a `Names` with an attribute for every state, parameter and option,
    and one expression for each of the `inputs`; it is plain Python on expressions, traced once
    a layer, so `if` may ask for options, `where` for values. `options`: names with defaults;
    `choices`: what those can be that are words, or few numbers. `source`: of the equation.
    """

    name: str
    states: tuple[str, ...]
    parameters: tuple[Field, ...]
    step: Callable[..., Next]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    inputs: tuple[str, ...] = ("x",)
    sends: Sends = "spike"
    source: str = ""
    choices: Mapping[str, tuple[str | int, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )


class Names:
    """What a step sees: states, parameters and options as attributes."""

    def __init__(self, /, **known: Any) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no state, parameter or option {name!r}", name=name, obj=self)


@dataclass(frozen=True, eq=False)
class Neurons:
    """`n` neurons of one layer: a model, the numbers it computes in, and its values.

    `values`: for each parameter an array [n], or one number for all. `initial`: states that do
    not begin at 0, likewise. Every array is in the order in which the layer is numbered.
    """

    model: Model
    n: int
    number: Number
    values: Values
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    initial: Values = field(default_factory=lambda: MappingProxyType({}))

    @property
    def fires(self) -> bool:
        """Whether spikes, or values, are ever sent."""
        return self.model.sends != "nothing" and bool(self.options.get("fires", True))

    @property
    def integer(self) -> bool:
        """Whether states are integers."""
        return self.number in ("int32", "int64")

    def value(self, name: str) -> Array | int | float | None:
        """The values of the parameter called `name`, or its default."""
        if name in self.values:
            return self.values[name]
        return next(f.default for f in self.model.parameters if f.name == name)

    def at(self, place: Any) -> Neurons:
        """The same neurons in another order: neuron k is the one that was at `place[k]`."""

        def moved(values: Values) -> Values:
            return {k: v if np.ndim(v) == 0 else np.asarray(v)[place] for k, v in values.items()}

        return replace(self, values=moved(self.values), initial=moved(self.initial))

    def start(self, state: str) -> Array:
        """What a state begins with: [n] in the layer's numbers."""
        given = np.asarray(self.initial.get(state, 0), dtype=self.number)
        return np.broadcast_to(given, (self.n,))
