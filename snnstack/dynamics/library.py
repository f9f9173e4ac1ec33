"""The neuron models that come with the package, by name; and any model as data and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnstack.dynamics.model import Model
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.dynamics.written import model_data, read_model

MODELS = {model.name: model for model in (CUBA_LIF,)}


def saved_form(model: Model, options: Mapping[str, Any] | None = None) -> str | dict[str, Any]:
    """The name of a model of the package, else the model with these options as data."""
    known = MODELS.get(model.name)
    own = known is None or known.step is not model.step
    return model_data(model, options) if own else model.name


def from_saved(form: Any, where: str = "model") -> Model:
    """The inverse of `saved_form`; KeyError for an unknown name, ModelError for bad data."""
    return MODELS[form] if isinstance(form, str) else read_model(form, where)
