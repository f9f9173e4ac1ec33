"""The neuron models that come with the package, by name; and any model as data and back.

A model of the package is a file of `snnstack.dynamics.neurons`: a new file is a new model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from snnstack.dynamics import neurons
from snnstack.dynamics.discovery import defined
from snnstack.dynamics.model import Model
from snnstack.dynamics.written import model_data, read_model, same_model

MODELS: Mapping[str, Model] = MappingProxyType({m.name: m for m in defined(neurons, Model)})


def saved_form(model: Model, options: Mapping[str, Any] | None = None) -> str | dict[str, Any]:
    """The name of a model of the package, else the model with these options as data."""
    known = MODELS.get(model.name)
    own = known is None or known.step is not model.step
    return model_data(model, options) if own else model.name


def from_saved(form: Any, where: str = "model") -> Model:
    """The inverse of `saved_form`; KeyError for an unknown name, ModelError for bad data."""
    if isinstance(form, str):
        return MODELS[form]
    made = read_model(form, where)
    known = MODELS.get(made.name)
    return known if known is not None and same_model(known, made) else made
