"""What an ONNX graph under construction consists of, with unique names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Writer:
    """Nodes, constants and states of the graph under construction."""

    onnx: Any
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    states: list[tuple[str, int]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    convolutions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def fresh(self, name: str) -> str:
        """`name`, made unique."""
        unique, k = name, 2
        while unique in self.names:
            unique, k = f"{name}_{k}", k + 1
        self.names.add(unique)
        return unique

    def constant(self, values: Any, name: str, dtype: Any = np.float64) -> str:
        """A constant; its unique name."""
        unique = self.fresh(name)
        array = np.asarray(values, dtype=dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, unique))
        return unique

    def op(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """A node with one result; that result's unique name."""
        unique = self.fresh(name)
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [unique], unique, **attributes))
        return unique

    def state(self, name: str, n: int) -> str:
        """A state of `n` elements; returns its name as an input."""
        self.states.append((name, n))
        self.names.add(name)
        return name

    def next(self, name: str, value: str) -> None:
        """`value` is the state `name` after the step."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [f"{name}.next"]))
