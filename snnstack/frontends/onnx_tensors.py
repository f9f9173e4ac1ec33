"""What an ANN in ONNX has become so far: the value of every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_linear import (
    Builder,
    Pending,
    Source,
    Value,
    constant_part,
    folded_into,
)
from snnstack.frontends.sigma_delta import SigmaDelta
from snnstack.ir.nodes import EventKind, Input, Shape

ONE, ZERO = np.ones(()), np.zeros(())


@dataclass(frozen=True)
class InputRange:
    """What the input's rate 0..1 (or count per step, up to `levels`) means to the ANN."""

    low: float = 0.0
    high: float = 1.0
    levels: int = 1

    @property
    def events(self) -> EventKind:
        """What the input carries per step."""
        return "binary" if self.levels == 1 else "count"


class Tensors:
    """Values of an ANN's tensors by name, as far as it was walked, and the graph they became."""

    def __init__(
        self,
        graph: OnnxGraph,
        shape: Shape,
        thresholds: Mapping[str, float],
        given: InputRange,
        steps: int,
        delta: SigmaDelta | None = None,
    ) -> None:
        self.onnx, self.steps, self.thresholds, self.delta = graph, steps, thresholds, delta
        self.build = Builder()
        events = given.events if delta is None else "value"
        name = self.build.add(graph.inputs[0], Input(shape, events), ())
        if delta is not None:
            name = self.build.add(f"{name}.changes", delta.source(shape), (name,))
        scale = np.asarray((given.high - given.low) / given.levels)
        first = Source(name, scale, np.asarray(given.low))
        self.values = {graph.inputs[0]: Value(shape, sources=(first,))}
        self.pads: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def constant(self, node: OnnxNode, position: int) -> Any:
        """The constant input at `position`, None if it is not there."""
        name = node.inputs[position] if position < len(node.inputs) else ""
        if not name:
            return None
        if name not in self.onnx.constants:
            what = f"input {name!r} of {node.op} is computed, not constant"
            raise fail(ModelError, node.name, what, "export the trained weights with the model")
        return np.asarray(self.onnx.constants[name], dtype=np.float64)

    def single(self, value: Value) -> Value:
        """The same value as sources only."""
        ends = self.build.placed(value)
        return Value(value.shape, sources=tuple(Source(e, ONE, ZERO) for e in ends))

    def linear(self, node: OnnxNode, value: Value, made: Any, shape: Shape, padded: bool) -> Value:
        """`made` applied to `value`, with a lone source's scale and shift folded in.

        Before padding a shift is not the same everywhere: it goes a way of its own, as a bias
        that passes through a second copy of the node.
        """
        if len(value.sources) != 1 or value.pending:
            return Value(shape, (Pending(node.name, made, self.build.placed(value)),))
        source = value.sources[0]
        if not padded or not np.any(source.shift != 0.0):
            folded = folded_into(source, made)
            return Value(shape, (Pending(node.name, folded, (source.name,)),))
        scaled = folded_into(Source(source.name, source.scale, ZERO), made)
        still = constant_part(source, value.shape)
        shift = self.build.add(still.name, still.node, still.sources)
        copy = replace(made, bias=np.zeros_like(made.bias))
        both = (
            Pending(node.name, scaled, (source.name,)),
            Pending(f"{node.name}.border", copy, (shift,)),
        )
        return Value(shape, both)
