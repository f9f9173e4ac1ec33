"""A model whose inputs have a constant added in every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next

PREFIX = "bias_"


def with_bias(model: Model, ports: Sequence[str]) -> Model:
    """`model` with a parameter "bias_<port>" (volt) that is added to each of its inputs `ports`."""
    if not ports:
        return model
    return replace(
        model,
        name=f"{model.name}_with_bias",
        parameters=(*model.parameters, *(Field(PREFIX + port, "volt", 0) for port in ports)),
        step=partial(_step, model, frozenset(ports)),
    )


def _step(model: Model, ports: frozenset[str], n: Names, *inputs: E) -> Next:
    given: list[Any] = [
        x + getattr(n, PREFIX + port) if port in ports else x
        for port, x in zip(model.inputs, inputs, strict=True)
    ]
    return model.step(n, *given)
