"""`Walk`: what is known of the tensors of a spiking step in ONNX, and what our export noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_terms import Atom, Firing, Terms, constant
from snnstack.ir.nodes import Array, Leaf, Shape
from snnstack.ir.step import Conv


@dataclass(frozen=True, eq=False)
class Layer:
    """A stateless operation applied to `source`; a `Conv` is one of our own exports'."""

    name: str
    node: Leaf | Conv
    source: Terms


@dataclass
class Walk:
    """`values`: of all tensors; then what atoms of each kind stand for.

    `convolutions`: what our own export noted; `timed`: tensors with a time axis in front.
    """

    onnx: OnnxGraph
    values: dict[str, Terms] = field(default_factory=dict)
    layers: dict[Atom, Layer] = field(default_factory=dict)
    firings: dict[Atom, Firing] = field(default_factory=dict)
    positive: dict[Atom, Terms] = field(default_factory=dict)
    unknown: dict[Atom, str] = field(default_factory=dict)
    convolutions: Mapping[str, Any] = field(default_factory=dict)
    timed: set[str] = field(default_factory=set)

    def of(self, name: str) -> Terms:
        """What a tensor is; a constant also."""
        if name not in self.values:
            self.values[name] = constant(self.onnx.constants[name])
        return self.values[name]

    def constant(self, node: OnnxNode, position: int) -> Array | None:
        """The constant input at `position`, None if there is none."""
        name = node.inputs[position] if position < len(node.inputs) else ""
        found = self.onnx.constants.get(name)
        return None if found is None else np.asarray(found)


def noted(onnx: OnnxGraph, key: str) -> dict[str, Any]:
    """What our own export noted; checked where it is used."""
    text = onnx.about.get(f"snnstack.{key}", "{}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise fail(ModelError, onnx.name, f"has unreadable metadata snnstack.{key}") from error
    return found if isinstance(found, dict) else {}


def shapes_of(onnx: OnnxGraph) -> dict[str, Shape]:
    """{population: shape} that our own export noted."""
    found = noted(onnx, "shapes").items()
    lists = {name: v for name, v in found if isinstance(v, list) and v}
    whole = {n: v for n, v in lists.items() if all(type(k) is int and k > 0 for k in v)}
    return {name: tuple(v) for name, v in whole.items()}


Operations = Mapping[str, Callable[[Walk, OnnxNode], Terms | None]]
"""By name; None where it is not understood."""
