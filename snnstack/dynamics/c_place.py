"""Where a step in C reads and puts its numbers: what a target says, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from snnstack.dynamics.c_words import INDENT
from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.spans import Span

Own = Callable[["Operand", tuple["Operand", ...]], "str | None"]


@dataclass(frozen=True)
class Place:
    """How what a step reads and does is written in C, each a function of a name.

    `param`: an entry of an array of parameters. `spike`: the statement for a spike; `value` the
    one for the number that is sent, which may be 0. `joined`: a state is stored once, after the
    branch of a spike, which suits cores that execute conditionally; else in either branch. `own`:
    the text of an operation, given the result and its arguments, where a machine has a better one;
    None where it has none.
    """

    state: Callable[[str], str] = "s->{}[j]".format
    input: Callable[[str], str] = "{}[j]".format
    param: Callable[[str], str] = "{}[j]".format
    table: Callable[[str], str] = str
    spike: Callable[[], str] = "sent[j] = 1;".format
    value: Callable[[str], str] = "sent[j] = {};".format
    rare: Callable[[str], str] = "{}".format
    joined: bool = True
    result: Callable[[str, str], str] = "{}[j] = {};".format
    own: Mapping[str, Own] = field(default_factory=dict)


class Operand(NamedTuple):
    """A text, the type of it ("truth" for a condition), its interval, and the expression."""

    text: str
    kind: str
    span: Span
    e: E


@dataclass(frozen=True)
class Printed:
    """`lines` for neuron `j`; `arrays`, `tables`: the parameters and tables that they read."""

    lines: tuple[str, ...]
    arrays: tuple[str, ...]
    tables: tuple[Table, ...]

    def text(self, depth: int = 0) -> str:
        """The lines, indented."""
        return "\n".join(INDENT * depth + line for line in self.lines)
