"""The neuron models that come with the package, by name."""

from __future__ import annotations

from snnstack.dynamics.model import Model
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF

MODELS = {model.name: model for model in (CUBA_LIF,)}


def known(name: str) -> Model:
    """The model called `name`; KeyError where there is none."""
    return MODELS[name]
