"""A step of integers as Python text on NumPy arrays: one line an operation, for Lava's processes.

The text holds nothing but checked identifiers, integers and the rows' own templates: a model is
data, also one from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from snnstack.dynamics.expr import E, Table, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.trace import Step
from snnstack.dynamics.written import NAME
from snnstack.errors import ModelError, fail

Named = Callable[[str], str]


@dataclass(frozen=True)
class PythonStep:
    """`lines` of assignments, and the text of every root by its name."""

    lines: tuple[str, ...]
    roots: Mapping[str, str]


def python_step(step: Step, state: Named, param: Named, port: Named, table: Named) -> PythonStep:
    """`step` as text; the functions say how a state, parameter, input and table are read.

    Values are exact where every number fits its type: states int32, products int64. ModelError
    for an operation without a form in Python, or a name that is no identifier.
    """
    where = step.neurons.model.name
    named = {"state": state, "param": param, "input": port}
    texts: dict[int, str] = {}
    lines: list[str] = []
    for e in ordered(step.roots.values()):
        if e.op == "const":
            texts[id(e)] = _integer(e, where)
        elif e.op in named:
            texts[id(e)] = named[e.op](identifier(e.value, where))
        else:
            texts[id(e)] = f"t{len(lines)}"
            made = _operation(e, [texts[id(a)] for a in e.args], table, where)
            lines.append(f"{texts[id(e)]} = {made}")
    return PythonStep(tuple(lines), {name: texts[id(e)] for name, e in step.roots.items()})


def identifier(name: object, where: str) -> str:
    """`name`, if it is one that may stand in a program."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        hint = "letters, digits and _, at most 64, a letter first"
        raise fail(ModelError, where, f"{name!r} is no name", hint)
    return name


def _integer(e: E, where: str) -> str:
    if e.value != int(e.value):
        what = f"its step has the number {e.value!r}, integers are computed"
        raise fail(ModelError, where, what)
    return str(int(e.value)) if e.value >= 0 else f"({int(e.value)})"


def _operation(e: E, args: list[str], table: Named, where: str) -> str:
    text = OPS[e.op].text
    form = text.get("python", text.get("shown"))
    if form is None:
        raise fail(ModelError, where, f"has no {e.op} in Python")
    if not isinstance(e.value, Table):
        return form.format(*args)
    last = str(len(e.value.entries) - 1)
    return form.format(*args, table=table(identifier(e.value.name, where)), last=last)
