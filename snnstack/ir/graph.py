"""`Graph`: a continuous-time network of named nodes and edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from snnstack.dynamics.model import Model
from snnstack.dynamics.rule import Rule
from snnstack.dynamics.rule_written import same_rule
from snnstack.dynamics.written import same_model
from snnstack.ir.nodes import Input, Leaf, Metadata, Output, node

Integrator = Literal["euler", "exponential"]
INTEGRATORS: tuple[str, ...] = ("euler", "exponential")


@dataclass(frozen=True)
class Edge:
    """`delay` in steps: 0 acts in the same step, 1 in the next; None: decided later.

    `port`: the input of the target's model in which it ends; None: the first.
    """

    source: str
    target: str
    delay: int | None = None
    port: str | None = None

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


@node
class Graph:
    """A network as it was trained: nodes by name, edges, and how time is to be discretised.

    `dt` (seconds) and `integrator` are None where the file does not say; `settings` lists,
    for each of dt, integrator, reset, compare and events, whether it came from the file
    ("file"), from the user ("option") or is a default ("default"). A node may itself be a
    `Graph` (NIR's nested graphs).
    """

    nodes: Mapping[str, Leaf | Graph]
    edges: tuple[Edge, ...]
    dt: float | None = None
    integrator: Integrator | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Metadata = field(default_factory=lambda: MappingProxyType({}))

    def inputs(self) -> dict[str, Input]:
        """The input nodes by name."""
        return {name: n for name, n in self.nodes.items() if isinstance(n, Input)}

    def outputs(self) -> dict[str, Output]:
        """The output nodes by name."""
        return {name: n for name, n in self.nodes.items() if isinstance(n, Output)}

    def predecessors(self, name: str) -> list[str]:
        """Names of the nodes with an edge into `name`, in edge order."""
        return [edge.source for edge in self.edges if edge.target == name]

    def successors(self, name: str) -> list[str]:
        """Names of the nodes that `name` has an edge into, in edge order."""
        return [edge.target for edge in self.edges if edge.source == name]

    def with_(self, **changes: Any) -> Graph:
        """A copy with some fields replaced."""
        return replace(self, **changes)


def same(left: Any, right: Any) -> bool:
    """Whether two nodes or graphs are equal in type, parameters (bit for bit) and dtype."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        equal_nan = left.dtype.kind in "fc"
        return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=equal_nan)
    if isinstance(left, Model):
        return same_model(left, right)
    if isinstance(left, Rule):
        return same_rule(left, right)
    if isinstance(left, Mapping):
        return set(left) == set(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, Graph):
        rest = [f.name for f in fields(left) if f.name != "edges"]
        by_name = sorted(left.edges, key=str) == sorted(right.edges, key=str)
        return by_name and all(same(getattr(left, f), getattr(right, f)) for f in rest)
    if hasattr(left, "__dataclass_fields__"):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in fields(left))
    return bool(left == right)
