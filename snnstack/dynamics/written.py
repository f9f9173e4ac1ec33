"""A model as plain data, and back: a list of operations that JSON can hold, nothing executable.

    {"name", "states", "inputs", "sends", "source",
     "parameters": [[name, unit, default, one], ...],
     "nodes": [[op, [numbers of nodes before], value], ...],
     "roots": {"state v": number of a node, "sent": ..., ...}}

Options are folded in: what is written is one step, of the choices that were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, get_args

from snnstack.door import shown
from snnstack.dynamics.expr import LEAVES, E, Table, ordered
from snnstack.dynamics.model import Field, Model, Names, Next, Sends, Unit
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.trace import roots_of
from snnstack.errors import ModelError, Problem, raise_if_any

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
MOST_NODES, MOST_NAMES, MOST_ENTRIES = 4096, 256, 2**16
LARGEST = 2.0**62
ROOTS = ("sent", "active", "fits")
KINDS = ("state", "reads")
AGAIN = "write the model again"
Roots = Mapping[str, int]
Nodes = tuple[tuple[str, tuple[int, ...], Any], ...]


@dataclass(frozen=True)
class Listed:
    """The step of a model that was written down."""

    nodes: Nodes
    roots: tuple[tuple[str, int], ...]
    inputs: tuple[str, ...]

    def __call__(self, n: Names, *inputs: E) -> Next:
        """Trace it."""
        known = dict(zip(self.inputs, inputs, strict=True))
        made: list[E] = []
        for op, args, value in self.nodes:
            if op in ("state", "param"):
                made.append(getattr(n, value))
            elif op == "input":
                made.append(known[value])
            else:
                made.append(E(op, tuple(made[a] for a in args), value))
        found = {name: made[k] for name, k in self.roots}

        def of(kind: str) -> dict[str, E]:
            return {k.split(" ", 1)[1]: e for k, e in found.items() if k.startswith(f"{kind} ")}

        rest = {name: found.get(name) for name in ROOTS}
        return Next(of("state"), reads=of("reads"), **rest)


def listed(roots: Mapping[str, E], inputs: tuple[str, ...]) -> Listed:
    """The step of a model that computes `roots`."""
    place: dict[int, int] = {}
    nodes: list[tuple[str, tuple[int, ...], Any]] = []
    for e in ordered(roots.values()):
        place[id(e)] = len(nodes)
        nodes.append((e.op, tuple(place[id(a)] for a in e.args), e.value))
    return Listed(tuple(nodes), tuple((k, place[id(e)]) for k, e in roots.items()), inputs)


def model_data(model: Model, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`model` with these `options` as data that JSON can hold."""
    roots = dict(sorted(roots_of(model, options or {}).items()))  # as JSON may order them
    nodes: list[E] = []
    number: dict[int, int] = {}
    for e in ordered(roots.values()):
        number[id(e)] = len(nodes)
        nodes.append(e)
    return {
        "name": model.name,
        "states": list(model.states),
        "inputs": list(model.inputs),
        "sends": model.sends,
        "source": model.source,
        "parameters": [[f.name, f.unit, f.default, f.one] for f in model.parameters],
        "nodes": [[e.op, [number[id(a)] for a in e.args], _value(e.value)] for e in nodes],
        "roots": {name: number[id(e)] for name, e in roots.items()},
    }


def read_model(data: Any, where: str = "model") -> Model:
    """The model that `data` describes; ModelError with all that is wrong with it."""
    raise_if_any(ModelError, _head_problems(data, where))
    raise_if_any(ModelError, _node_problems(data, where))
    nodes = tuple((op, tuple(args), _read(value)) for op, args, value in data["nodes"])
    return Model(
        name=data["name"],
        states=tuple(data["states"]),
        parameters=tuple(Field(*row) for row in data["parameters"]),
        step=Listed(nodes, tuple(data["roots"].items()), tuple(data["inputs"])),
        inputs=tuple(data["inputs"]),
        sends=data["sends"],
        source=data["source"],
    )


def same_model(one: Model, other: Model) -> bool:
    """Whether two models compute the same by the same operations, under the same names."""
    if one.step is other.step and one.options == other.options:
        return True
    return model_data(one) == model_data(other)


def _value(value: Any) -> Any:
    if isinstance(value, Table):
        return {"table": value.name, "entries": list(value.entries)}
    return value.item() if hasattr(value, "item") else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return Table(value["table"], tuple(value["entries"]))
    return value


def _head_problems(data: Any, where: str) -> Iterator[Problem]:
    """What is wrong with everything but the nodes."""
    wanted = {"name": str, "states": list, "inputs": list, "sends": str, "source": str,
              "parameters": list, "nodes": list, "roots": dict}  # fmt: skip
    if not isinstance(data, dict) or set(data) != set(wanted):
        yield Problem(where, "is no model that was written down", AGAIN)
        return
    for key, kind in wanted.items():
        if not isinstance(data[key], kind):
            yield Problem(where, f"{key} is {shown(data[key])}", AGAIN)
            return
    fields = [row for row in data["parameters"] if is_field(row)]
    if len(fields) != len(data["parameters"]):
        yield Problem(where, "a parameter is no [name, unit, default, one]", AGAIN)
    names = [data["name"], *data["states"], *data["inputs"], *(row[0] for row in fields)]
    for name in names[:MOST_NAMES]:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield Problem(where, f"{shown(name)} is no name", "letters, digits and _, at most 64")
    inner = [*data["states"], *(row[0] for row in fields)]
    if len(names) > MOST_NAMES or len({*map(str, inner)}) < len(inner) or not data["inputs"]:
        yield Problem(where, f"its {len(names)} names are too many, the same, or lack one", AGAIN)
    if data["sends"] not in get_args(Sends) or len(data["source"]) > LARGEST_TEXT:
        yield Problem(where, f"sends {shown(data['sends'])}", AGAIN)


LARGEST_TEXT = 2000


def is_field(row: Any) -> bool:
    """Whether `row` is a parameter: [name, unit, default, one]."""
    if not isinstance(row, list) or len(row) != 4:
        return False
    name, unit, default, one = row
    plain = default is None or is_number(default)
    return isinstance(name, str) and unit in get_args(Unit) and plain and is_number(one)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number that a constant can be."""
    kind = type(value) in (int, float)
    return kind and isfinite(value) and abs(value) <= LARGEST


def _node_problems(data: dict[str, Any], where: str) -> Iterator[Problem]:
    nodes = data["nodes"]
    if not 1 <= len(nodes) <= MOST_NODES:
        yield Problem(where, f"has {len(nodes)} operations, 1 to {MOST_NODES} can be", AGAIN)
        return
    known = {
        "state": data["states"],
        "param": [row[0] for row in data["parameters"]],
        "input": data["inputs"],
    }
    for k, node in enumerate(nodes):
        if not _is_node(node, k, known):
            yield Problem(where, f"operation {k} is {shown(node)}", AGAIN)
            return
    known_tables: dict[str, list[int]] = {}
    for _, _, value in nodes:
        if isinstance(value, dict):
            name, entries = value["table"], value["entries"]
            if known_tables.setdefault(name, entries) != entries:
                yield Problem(where, f"has two tables {shown(name)}", AGAIN)
    for name, at in data["roots"].items():
        kind, _, state = name.partition(" ")
        right = name in ROOTS or (kind in KINDS and state in data["states"])
        if not right or type(at) is not int or not 0 <= at < len(nodes):
            yield Problem(where, f"its result {shown(name)} is operation {shown(at)}", AGAIN)


def _is_node(node: Any, k: int, known: Mapping[str, list[str]]) -> bool:
    """Whether operation `k` is one, of operations before it."""
    if not isinstance(node, list) or len(node) != 3 or not isinstance(node[1], list):
        return False
    op, args, value = node
    if op == "const":
        return not args and is_number(value)
    if op in LEAVES:
        return not args and isinstance(value, str) and value in known[op]
    if not isinstance(op, str) or op not in OPS or len(args) != OPS[op].arity:
        return False
    before = all(type(a) is int and 0 <= a < k for a in args)
    return before and (_is_table(value) if op == "lut" else value is None)


def _is_table(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"table", "entries"}:
        return False
    name, entries = value["table"], value["entries"]
    named = isinstance(name, str) and NAME.fullmatch(name) is not None
    if not named or not isinstance(entries, list) or not 1 <= len(entries) <= MOST_ENTRIES:
        return False
    return all(type(entry) is int and -(2**31) <= entry < 2**31 for entry in entries)
