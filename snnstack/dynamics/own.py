"""`neuron`: a model of one's own from a plain function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args

from snnstack.dynamics.model import Field, Model, Next, Sends, Unit
from snnstack.errors import ModelError, fail


def neuron(
    *states: str, sends: Sends = "spike", source: str = "", **parameters: Unit | tuple[Unit, float]
) -> Callable[[Callable[..., Next]], Model]:
    """A decorator that makes a `Model` of a step function.

    `states`: names of its states. `parameters`: by name the unit, or (unit, value where none is
    given); units are those of `Field`. The function is called with `n`, which has an attribute
    for each of them, and the sum of what arrives at each of its inputs: its other arguments, by
    their names. It returns a `Next`. Raises ModelError for what is no model.

    >>> @neuron("v", alpha="factor", threshold=("volt", 1.0))
    ... def leaky(n, x):
    ...     v = n.alpha * n.v + x
    ...     return Next({"v": v}, v > n.threshold)
    >>> leaky.name, leaky.inputs, [field.name for field in leaky.parameters]
    ('leaky', ('x',), ['alpha', 'threshold'])
    """
    fields = tuple(_field(name, said) for name, said in parameters.items())

    def made(step: Callable[..., Next]) -> Model:
        first, *inputs = inspect.signature(step).parameters or ("",)
        if not inputs:
            what = f"its step takes {first or 'nothing'!r} and no input"
            hint = "def step(n, x): n has the states and parameters, x is what arrives"
            raise fail(ModelError, step.__name__, what, hint)
        return Model(
            step.__name__, states, fields, step, inputs=tuple(inputs), sends=sends, source=source
        )

    return made


def _field(name: str, said: Any) -> Field:
    unit, default = said if isinstance(said, tuple) else (said, None)
    if unit not in get_args(Unit):
        what = f"has the unit {unit!r}"
        raise fail(ModelError, f"parameter {name}", what, f"one of: {', '.join(get_args(Unit))}")
    return Field(name, unit, default)
