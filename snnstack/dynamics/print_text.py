"""Expressions as text of a programming language, each shared part written once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snnstack.dynamics.expr import LEAVES, E, Table, ordered
from snnstack.dynamics.ops import OPS

Leaf = Callable[[E], str]


@dataclass(frozen=True)
class Written:
    """Assignments (name, text) in order, the text of every root, and the tables that are read."""

    lines: list[tuple[str, str]]
    roots: dict[str, str]
    tables: list[Table]


class _Text(str):
    """The text of an argument; `bare` is that of a constant without its type."""

    bare: str

    def __new__(cls, text: str, bare: str) -> _Text:
        made = super().__new__(cls, text)
        made.bare = bare
        return made


def written(
    roots: Mapping[str, E], leaf: Leaf, columns: tuple[str, ...], number: str = ""
) -> Written:
    """`roots` in a language.

    `leaf` writes constants, states, parameters and inputs; `columns` are the columns of a row's
    `text` to look for, in order; `number` is what "{T}" stands for. What is read more than once
    becomes a name, and so does every state, so that it can be overwritten.
    """
    unique: dict[Any, E] = {}
    same: dict[int, E] = {}
    for e in ordered(roots.values()):
        same[id(e)] = unique.setdefault((e.op, e.value, *(id(same[id(a)]) for a in e.args)), e)
    uses = Counter(id(same[id(a)]) for e in unique.values() for a in e.args)
    uses += Counter(id(same[id(e)]) for e in roots.values())
    texts: dict[int, _Text] = {}
    lines: list[tuple[str, str]] = []
    for e in unique.values():
        text = leaf(e) if e.op in LEAVES else _text(e, columns, number, texts, same)
        if e.op == "state" or (e.op not in LEAVES and uses[id(e)] > 1):
            lines.append((f"t{len(lines)}", text))
            text = lines[-1][0]
        texts[id(e)] = _Text(text, repr(e.value) if e.op == "const" else text)
    tables = list(dict.fromkeys(e.value for e in unique.values() if isinstance(e.value, Table)))
    return Written(lines, {name: texts[id(same[id(e)])] for name, e in roots.items()}, tables)


def _text(
    e: E, columns: tuple[str, ...], number: str, texts: dict[int, _Text], same: dict[int, E]
) -> str:
    column = OPS[e.op].text
    form = next(column[name] for name in columns if name in column)
    named = {"T": number}
    if isinstance(e.value, Table):
        named |= {"table": e.value.name, "last": str(len(e.value.entries) - 1)}
    return form.format(*(texts[id(same[id(a)])] for a in e.args), **named)
