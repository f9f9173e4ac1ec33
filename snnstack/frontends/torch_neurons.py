"""Whose neuron a module is: finds the framework that describes it."""

from __future__ import annotations

from typing import Any

from snnstack.frontends.torch_kind import Kind


def kind_of(module: Any) -> Kind | None:
    """What a module is, if it is a neuron of a framework that is known."""
    package = type(module).__mro__
    if any(k.__module__.startswith("snntorch.") for k in package):
        from snnstack.frontends.snntorch import kind

        return kind(module)
    if any(k.__module__.startswith("spikingjelly.") for k in package):
        from snnstack.frontends.spikingjelly import kind as jelly

        return jelly(module)
    return None
