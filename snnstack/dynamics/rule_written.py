"""A rule as plain data, and back: lists of operations that JSON can hold, nothing executable.

{"name", "synapse", "reads", "modulated", "source", "parameters": [[name, unit, default, one]],
 "pre", "post": [[trace, decay, jump], ...],
 "parts": {"on_pre": {"nodes": [[op, [numbers], value], ...], "roots": {"w": number}}, ...}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snnstack.door import shown
from snnstack.dynamics.expr import LEAVES, E, ordered
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.rule import GIVEN, PARTS, Memory, Rule, parts_of
from snnstack.dynamics.written import (
    AGAIN,
    LARGEST_TEXT,
    MOST_NAMES,
    MOST_NODES,
    NAME,
    is_field,
    is_number,
)
from snnstack.errors import ModelError, Problem, raise_if_any

KEYS = {"name": str, "synapse": list, "reads": list, "modulated": bool, "source": str,
        "parameters": list, "pre": list, "post": list, "parts": dict}  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """One part of a rule that was written down."""

    nodes: tuple[tuple[str, tuple[int, ...], Any], ...]
    roots: tuple[tuple[str, int], ...]

    def __call__(self, n: Names) -> dict[str, E]:
        """Trace it."""
        made: list[E] = []
        for op, args, value in self.nodes:
            leaf = op in LEAVES and op != "const"
            made.append(getattr(n, value) if leaf else E(op, tuple(made[a] for a in args), value))
        return {name: made[k] for name, k in self.roots}


@dataclass(frozen=True)
class ListedBack:
    """What a target sends back, of a rule that was written down."""

    listed: Listed

    def __call__(self, n: Names) -> E:
        """Trace it."""
        return self.listed(n)["back"]


def rule_data(rule: Rule) -> dict[str, Any]:
    """`rule` as data that JSON can hold."""
    return {
        "name": rule.name,
        "synapse": list(rule.synapse),
        "reads": list(rule.reads),
        "modulated": rule.modulated,
        "source": rule.source,
        "parameters": [[f.name, f.unit, f.default, f.one] for f in rule.parameters],
        "pre": [[m.name, m.decay, m.jump] for m in rule.pre],
        "post": [[m.name, m.decay, m.jump] for m in rule.post],
        "parts": {part: _listed(roots) for part, roots in parts_of(rule).items() if roots},
    }


def _listed(roots: Mapping[str, E]) -> dict[str, Any]:
    roots = dict(sorted(roots.items()))  # as JSON may order them
    place: dict[int, int] = {}
    nodes: list[list[Any]] = []
    for e in ordered(roots.values()):
        place[id(e)] = len(nodes)
        nodes.append([e.op, [place[id(a)] for a in e.args], e.value])
    return {"nodes": nodes, "roots": {name: place[id(e)] for name, e in roots.items()}}


def read_rule(data: Any, where: str = "rule") -> Rule:
    """The rule that `data` describes; ModelError with all that is wrong with it."""
    raise_if_any(ModelError, _head_problems(data, where))
    raise_if_any(ModelError, _part_problems(data, where))
    parts = {
        name: Listed(
            tuple((op, tuple(args), value) for op, args, value in part["nodes"]),
            tuple(part["roots"].items()),
        )
        for name, part in data["parts"].items()
    }
    back = parts.pop("back", None)
    return Rule(
        name=data["name"],
        parameters=tuple(Field(*row) for row in data["parameters"]),
        pre=tuple(Memory(*row) for row in data["pre"]),
        post=tuple(Memory(*row) for row in data["post"]),
        synapse=tuple(data["synapse"]),
        reads=tuple(data["reads"]),
        modulated=data["modulated"],
        source=data["source"],
        back=None if back is None else ListedBack(back),
        **parts,
    )


def same_rule(one: Rule, other: Rule) -> bool:
    """Whether two rules compute the same by the same operations, under the same names."""
    return one is other or rule_data(one) == rule_data(other)


def _head_problems(data: Any, where: str) -> Iterator[Problem]:
    """What is wrong with everything but the parts."""
    if not isinstance(data, dict) or set(data) != set(KEYS):
        yield Problem(where, "is no rule that was written down", AGAIN)
        return
    for key, kind in KEYS.items():
        if not isinstance(data[key], kind):
            yield Problem(where, f"{key} is {shown(data[key])}", AGAIN)
            return
    if not all(is_field(row) for row in data["parameters"]):
        yield Problem(where, "a parameter is no [name, unit, default, one]", AGAIN)
        return
    parameters = [row[0] for row in data["parameters"]]
    memories = [*data["pre"], *data["post"]]
    if not all(_is_memory(row, parameters) for row in memories):
        yield Problem(where, "a trace is no [name, decay, jump]", AGAIN)
        return
    names = [*parameters, *data["synapse"], *data["reads"], *(row[0] for row in memories)]
    for name in [data["name"], *names][:MOST_NAMES]:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield Problem(where, f"{shown(name)} is no name", "letters, digits and _, at most 64")
    taken = [*map(str, names), "w", *GIVEN]
    if len(names) > MOST_NAMES or len({*taken}) < len(taken):
        yield Problem(where, f"its {len(names)} names are too many, or the same", AGAIN)
    if len(data["source"]) > LARGEST_TEXT:
        yield Problem(where, f"its source has {len(data['source'])} characters", AGAIN)


def _is_memory(row: Any, parameters: list[str]) -> bool:
    if not isinstance(row, list) or len(row) != 3:
        return False
    _, decay, jump = row
    return (decay is None or decay in parameters) and jump in ("add", "set")


def _part_problems(data: dict[str, Any], where: str) -> Iterator[Problem]:
    parts = data["parts"]
    inputs = [g for g in GIVEN if g != "modulator" or data["modulated"]]
    inputs = [g for g in inputs if g != "back" or "back" in parts] + data["reads"]
    states = ["w", *data["synapse"]]
    known = {
        "state": states + [row[0] for row in (*data["pre"], *data["post"])],
        "param": [row[0] for row in data["parameters"]],
        "input": inputs,
    }
    for name, part in parts.items():
        sets = ["back"] if name == "back" else states
        if name not in (*PARTS, "back") or not _is_part(part, known, sets):
            yield Problem(where, f"its part {shown(name)} is {shown(part)}", AGAIN)


def _is_part(part: Any, known: Mapping[str, list[str]], sets: list[str]) -> bool:
    if not isinstance(part, dict) or set(part) != {"nodes", "roots"}:
        return False
    nodes, roots = part["nodes"], part["roots"]
    if not isinstance(nodes, list) or not isinstance(roots, dict) or not roots:
        return False
    if not 1 <= len(nodes) <= MOST_NODES:
        return False
    right = all(
        name in sets and type(at) is int and 0 <= at < len(nodes) for name, at in roots.items()
    )
    complete = sets != ["back"] or "back" in roots
    return right and complete and all(_is_node(row, k, known) for k, row in enumerate(nodes))


def _is_node(row: Any, k: int, known: Mapping[str, list[str]]) -> bool:
    """Whether operation `k` is one, of operations before it."""
    if not isinstance(row, list) or len(row) != 3 or not isinstance(row[1], list):
        return False
    op, args, value = row
    if op == "const":
        return not args and is_number(value)
    if op in LEAVES:
        return not args and isinstance(value, str) and value in known[op]
    if not isinstance(op, str) or op not in OPS or op == "lut" or len(args) != OPS[op].arity:
        return False
    return value is None and all(type(a) is int and 0 <= a < k for a in args)
