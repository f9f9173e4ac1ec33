"""From the content of a NIR model, as nested dictionaries, to a `Graph`; and its metadata.

NIR's metadata dictionaries hold what NIR itself cannot say, under the key `snnstack`:
nodes `reset reset_time compare refractory events delay into`, those of any model what
`nir_cells` says, graphs `version dt integrator edges`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.dynamics.rule import Plastic
from snnstack.errors import ModelError, Problem
from snnstack.frontends import nir_values as values
from snnstack.frontends.nir_cells import cells, is_cells
from snnstack.frontends.nir_rules import KEY as RULE
from snnstack.frontends.nir_rules import read_rule_text
from snnstack.ir.check import near
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import KINDS, Array, Leaf

Content = dict[str, Any]

VERSION = 1
"""Of what is kept under `snnstack`; files with a higher one are refused."""

_CONV = {"weight": "array", "groups": "int", "bias": "array?"}
_WINDOW = {"stride": "int", "dilation": "int"}
_WINDOW_2D = {"stride": "pair", "dilation": "pair"}
_POOL = {"kernel_size": "pair", "stride": "pair", "padding": "pair"}
_LEAK = {"r": "array", "v_leak": "array"}
_FIRE = {"v_threshold": "array", "v_reset": "array?"}
_CUBA = {"tau_syn": "array", "tau_mem": "array", "w_in": "array?"}

PARAMETERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Input": {"shape": "shape"},
        "Output": {"shape": "shape"},
        "Linear": {"weight": "array"},
        "Affine": {"weight": "array", "bias": "array"},
        "Scale": {"scale": "array"},
        "Conv1d": {**_CONV, **_WINDOW, "input_shape": "int?", "padding": "padding1"},
        "Conv2d": {**_CONV, **_WINDOW_2D, "input_shape": "pair?", "padding": "padding2"},
        "SumPool2d": _POOL,
        "AvgPool2d": _POOL,
        "Flatten": {"input_type": "shape?", "start_dim": "int?", "end_dim": "int?"},
        "Delay": {"delay": "array"},
        "Threshold": {"threshold": "array"},
        "I": {"r": "array"},
        "IF": {"r": "array", **_FIRE},
        "LI": {"tau": "array", **_LEAK},
        "LIF": {"tau": "array", **_LEAK, **_FIRE},
        "CubaLI": {**_CUBA, **_LEAK},
        "CubaLIF": {**_CUBA, **_LEAK, **_FIRE},
    }
)
"""NIR's parameters of every node type, and how each is read; `?`: may be left out."""

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Input": ("events",),
        "Flatten": ("into",),
        "Linear": ("delay",),
        "Affine": ("delay",),
        "Threshold": ("compare",),
        "IF": ("reset", "reset_time", "refractory", "compare"),
        "LIF": ("reset", "reset_time", "refractory", "compare"),
        "CubaLIF": ("reset", "reset_time", "refractory", "compare"),
    }
)
"""What a node can say under `snnstack` in its metadata, by node type."""

SETTINGS = ("dt", "integrator", "reset", "reset_time", "compare", "events")


def _table(content: Any) -> Mapping[str, Any]:
    """Metadata as it is stored; an empty group is none. ValueError for a value in its place."""
    if content is None or isinstance(content, Mapping):
        return content or {}
    raise ValueError("is a value, not a dictionary")


@dataclass(frozen=True)
class Parser:
    """Collects in `problems` what is wrong, and in `said` what the file settles."""

    problems: list[Problem]
    said: set[str]

    def graph(self, tree: Mapping[str, Any], where: str = "") -> Graph:
        """The graph that `tree` holds; incomplete where there are problems."""
        nodes: dict[str, Leaf | Graph] = {}
        for name, content in self._part(tree, "nodes", where).items():
            made = self._node(where + name, content)
            if made is not None:
                nodes[name] = made
        pairs = self._pairs(tree.get("edges", ()), where)
        metadata, extra = self._metadata(tree, f"{where}graph" if where else "graph")
        version = extra.pop("version", VERSION)
        if not isinstance(version, int) or version > VERSION:
            what = f"its snnstack metadata has version {version}, this snnstack reads {VERSION}"
            self._report(where + "graph", what, "update snnstack")
        edges = self._edges(pairs, extra.pop("edges", None), where)
        dt = self._extra(extra, "dt", where + "graph")
        integrator = self._extra(extra, "integrator", where + "graph")
        rest = {**metadata, "snnstack": extra} if extra else metadata
        return Graph(nodes, edges, dt, integrator, metadata=rest)

    def _report(self, where: str, what: str, hint: str = "") -> None:
        self.problems.append(Problem(where, what, hint))

    def _part(self, tree: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
        part = tree.get(key, {})
        if key not in tree or not isinstance(part, Mapping):
            self._report(where + "graph", f"it has no group '{key}'", "export the model again")
            return {}
        return part

    def _pairs(self, edges: Any, where: str) -> list[tuple[str, str]]:
        found = []
        listed: Any = (edges,) if np.isscalar(edges) or edges is None else edges
        for edge in listed:
            pair = tuple(values.text(end) for end in edge) if np.ndim(edge) == 1 else ()
            if len(pair) == 2 and all(isinstance(end, str) for end in pair):
                found.append((str(pair[0]), str(pair[1])))
            else:
                what = f"edge {edge!r} is not a pair of node names"
                self._report(where + "graph", what, "export the model again")
        return found

    def _edges(self, pairs: list[tuple[str, str]], said: Any, where: str) -> tuple[Edge, ...]:
        """The file's edges; those listed in `said` take their delays from there."""
        if said is None:
            return tuple(Edge(source, target) for source, target in pairs)
        try:
            delays = [None if int(steps) < 0 else int(steps) for steps in said["delay"]]
            ports = [str(port) or None for port in said.get("port", [""] * len(delays))]
            ends = zip(said["source"], said["target"], delays, ports, strict=True)
            stated = [Edge(str(one), str(two), delay, port) for one, two, delay, port in ends]
        except (AttributeError, KeyError, TypeError, ValueError):
            what = "the edge delays in its snnstack metadata are not readable"
            self._report(where + "graph", what, "lists source, target, delay, port of one length")
            return ()
        listed = {(edge.source, edge.target) for edge in stated}
        unlisted = (Edge(*pair) for pair in pairs if pair not in listed)
        known = set(pairs)
        return (*unlisted, *(edge for edge in stated if (edge.source, edge.target) in known))

    def _node(self, name: str, content: Any) -> Leaf | Graph | None:
        stored = values.text(content.get("type", "")) if isinstance(content, Mapping) else ""
        kind = stored if isinstance(stored, str) else ""
        if kind == "NIRGraph":
            return self.graph(content, f"{name}: ")
        if kind not in KINDS:
            supported = ", ".join([*sorted(KINDS), "NIRGraph"])
            what = f"unknown node type '{kind}'" if kind else "it has no type"
            self._report(name, what, f"supported: {supported}")
            return None
        before = len(self.problems)
        metadata, extra = self._metadata(content, name)
        fields = self._parameters(name, kind, content)
        for key in EXTRAS.get(kind, ()):
            if key in extra:
                fields[key] = self._extra(extra, key, name)
        if len(self.problems) == before and is_cells(extra):
            return self._cells(extra, name, metadata)
        if RULE in extra and kind in ("Linear", "Affine"):
            fields[RULE] = self._rule(extra.pop(RULE), name)
        rest = {**metadata, "snnstack": extra} if extra else metadata
        made: Leaf | None = None
        if len(self.problems) == before:
            made = KINDS[kind](**_complete(kind, fields), metadata=rest)
        return made

    def _rule(self, text: Any, name: str) -> Plastic | None:
        try:
            return read_rule_text(text, name)
        except ModelError as error:
            self.problems.extend(error.problems)
            return None

    def _cells(self, extra: Content, name: str, metadata: Content) -> Leaf | None:
        try:
            made = cells(extra, name, metadata)
        except ModelError as error:
            self.problems.extend(error.problems)
            return None
        return replace(made, metadata={**metadata, "snnstack": extra}) if extra else made

    def _parameters(self, name: str, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        known = PARAMETERS[kind]
        fields: dict[str, Any] = {}
        for key, how in known.items():
            value = content.get(key)
            if value is None and not how.endswith("?"):
                what = f"parameter '{key}' of {kind} is missing"
                self._report(name, what, f"{kind} has: {', '.join(known)}")
            elif value is not None:
                try:
                    fields[key] = values.READERS[how.rstrip("?")](value)
                except ValueError as error:
                    self._report(name, f"parameter '{key}' {error}", "export the model again")
        for key in content.keys() - known.keys() - {"type", "metadata"}:
            self._report(name, f"{kind} has no parameter '{key}'", near(key, known))
        return fields

    def _metadata(self, tree: Mapping[str, Any], where: str) -> tuple[Content, Content]:
        """User metadata, and apart from it what stands under `snnstack`."""
        found: Any = {}
        try:
            found = values.metadata(_table(tree.get("metadata")))
        except ValueError as error:
            self._report(where, f"metadata {error}", "remove it")
        if not isinstance(found.get("snnstack", {}), dict):
            self._report(where, "metadata 'snnstack' is not a dictionary", "remove it")
            return {}, {}
        return found, found.pop("snnstack", {})

    def _extra(self, extra: dict[str, Any], key: str, where: str) -> Any:
        """Take `key` out of the snnstack metadata; None where it is absent or unreadable."""
        if key not in extra:
            return None
        value = extra.pop(key)
        if key in SETTINGS:
            self.said.add(key)
        wants: Any = str
        if key in ("dt", "refractory"):
            wants, value = float, float(value) if isinstance(value, int) else value
        if key == "into" and _is_shape(value):
            return tuple(int(n) for n in value)
        if key in ("delay", "into"):
            wants = np.ndarray if key == "delay" else tuple
        if isinstance(value, wants):
            return value
        words = {str: "text", float: "a number", tuple: "a list of whole numbers"}
        word = words.get(wants, "an array")
        self._report(where, f"metadata 'snnstack' says {key} {value!r}", f"{key} is {word}")
        return None


def _is_shape(value: Any) -> bool:
    """Whether metadata is a list of whole numbers."""
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu"


def _complete(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Fill in what NIR lets a file leave out, with NIR's own defaults."""
    if kind == "Flatten":
        start, end = fields.get("start_dim", 1), fields.get("end_dim", -1)
        made = {"input_shape": fields.get("input_type"), "start_dim": start, "end_dim": end}
        return made | {key: fields[key] for key in EXTRAS[kind] if key in fields}
    if kind in ("Conv1d", "Conv2d"):
        bias = np.zeros(fields["weight"].shape[:1], fields["weight"].dtype)
        return {"input_shape": None, "bias": bias, **fields}
    if "v_threshold" in fields and "v_reset" not in fields:
        fields["v_reset"] = np.zeros_like(fields["v_threshold"])
    if kind in ("CubaLI", "CubaLIF"):
        fields["w_in"] = _spread(fields.get("w_in", 1.0), fields["v_leak"])
    return fields


def _spread(value: Any, like: Array) -> Array:
    """A scalar input weight as one per neuron; an array as it is."""
    return np.asarray(np.ones_like(like) * value if np.ndim(value) == 0 else value)
