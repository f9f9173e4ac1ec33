"""A layer's step as lines of C99 on int32_t, written from the rows of `ops`.

No operation of theirs is undefined, whatever the numbers are; those that fit 32 bits are those
of the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from snnstack.dynamics.expr import LEAVES, E, Table, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.print_llvm import shared
from snnstack.dynamics.trace import Step
from snnstack.errors import ModelError, fail


class Lines(NamedTuple):
    """Declarations in order, and for every result of the step the C text of its value."""

    lines: tuple[str, ...]
    results: Mapping[str, str]


def c_lines(
    step: Step,
    leaf: Callable[[E], str],
    array: Callable[[Table], str] = lambda table: table.name,
) -> Lines:
    """`step` in C; `leaf(e)` is the text of a state, a parameter or an input.

    What is computed once is named once: t and a number. `array`: the name of a table's array.
    ModelError for an operation that integers do not have.
    """
    nodes, same = shared(dict(sorted(step.roots.items())))  # files do not keep their order
    text: dict[int, str] = {}
    lines: list[str] = []
    for e in nodes:
        if e.op in LEAVES:
            text[id(e)] = _number(e.value) if e.op == "const" else leaf(e)
            continue
        made = _operation(step, e, [text[id(same[id(a)])] for a in e.args], array)
        name = f"t{len(lines)}"
        kind = "int" if OPS[e.op].truth else "int32_t"
        lines.append(f"const {kind} {name} = {made};")
        text[id(e)] = name
    return Lines(tuple(lines), {name: text[id(same[id(e)])] for name, e in step.roots.items()})


def tables(step: Step) -> tuple[Table, ...]:
    """The look-up tables that a step reads, each once."""
    found = (e.value for e in ordered(step.roots.values()) if isinstance(e.value, Table))
    return tuple(dict.fromkeys(found))


def fine_parameters(step: Step) -> frozenset[str]:
    """Factors of 32 bits, which are stored as what is missing to 1: value - 2**32."""
    nodes = [e for e in ordered(step.roots.values()) if e.op == "fine_decay"]
    return frozenset(e.args[1].value for e in nodes if e.args[1].op == "param")


def _operation(step: Step, e: E, args: list[str], array: Callable[[Table], str]) -> str:
    form = OPS[e.op].text.get("c")
    if form is None:
        hint = "quantise the model: integers have tables in its place"
        raise fail(ModelError, step.neurons.model.name, f"{e.op} has no form in integers", hint)
    if form.startswith("="):
        return args[int(form[1:])]
    if e.op == "fine_decay" and e.args[1].op == "const":
        args[1] = _number(e.args[1].value - 2**32)
    fields: dict[str, Any] = {}
    if isinstance(e.value, Table):
        fields = {"table": array(e.value), "last": len(e.value.entries) - 1}
    return form.format(*args, **fields)


def _number(value: Any) -> str:
    """A constant; INT32_MIN has no literal of its own."""
    whole = int(value)
    if whole == -(2**31):
        return "(-2147483647 - 1)"
    return str(whole) if whole >= 0 else f"({whole})"
