"""Words of C: numbers, constant arrays, brackets and branches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from string import Formatter
from typing import Any

import numpy as np

from snnstack.dynamics.expr import E, Table, ordered
from snnstack.dynamics.ops import OPS
from snnstack.dynamics.trace import Step

TYPES = {"int32": "int32_t", "int64": "int64_t", "float32": "float", "float64": "double"}
FINE = 2**32
LEAST, MOST = -(2**31), 2**31 - 1
INDENT = "    "
WIDE_PRODUCT = "((int64_t)((uint64_t){0} * (uint64_t){1}) >> {2})"
WRAPPED = {
    "add": "(int64_t)((uint64_t){0} + (uint64_t){1})",
    "sub": "(int64_t)((uint64_t){0} - (uint64_t){1})",
    "mul": "(int64_t)((uint64_t){0} * (uint64_t){1})",
    "shl": "(int64_t)((uint64_t){0} * (uint64_t){power})",
    "scaled": "(int64_t)((uint64_t){0} * (uint64_t){power})",
    "mulshift": WIDE_PRODUCT,
    "decay": WIDE_PRODUCT,
}


def number_text(value: Any, number: str) -> str:
    """A constant in C."""
    if number.startswith("float"):
        return _real(np.dtype(number).type(value), "f" if number == "float32" else "")
    whole = int(value)
    if whole == LEAST:
        return "(-2147483647 - 1)"
    return str(whole) if whole >= 0 else f"({whole})"


def array_text(values: Any, name: str, ctype: str, number: str) -> str:
    """The definition of a constant array."""
    entries = ", ".join(number_text(v, number) for v in np.asarray(values).ravel().tolist())
    return f"static const {ctype} {name}[] = {{{entries}}};"


def stored(step: Step, name: str) -> Any:
    """[n] the parameter called `name` as an array holds it: of a factor of 32 bits what is
    missing to 1.
    """
    neurons = step.neurons
    if not neurons.integer:
        return np.broadcast_to(np.asarray(neurons.value(name), neurons.number), neurons.n)
    values = np.broadcast_to(np.asarray(neurons.value(name), np.int64), neurons.n)
    return values - FINE if values.max(initial=0) > MOST else values


def _real(value: Any, suffix: str) -> str:
    if value != value:
        return f'__builtin_nan{suffix}("")'
    if not isfinite(value):
        return f"({'-' if value < 0 else ''}__builtin_inf{suffix}())"
    text = f"{value}{suffix}"  # the shortest that is read as the same number
    return f"({text})" if text.startswith("-") else text


def tables(step: Step) -> tuple[Table, ...]:
    """The look-up tables that a step reads, each once."""
    found = (e.value for e in ordered(step.roots.values()) if isinstance(e.value, Table))
    return tuple(dict.fromkeys(found))


def fine_parameters(step: Step) -> frozenset[str]:
    """Factors of 32 bits, which are stored as what is missing to 1: value - 2**32."""
    nodes = [e for e in ordered(step.roots.values()) if e.op == "fine_decay"]
    return frozenset(e.args[1].value for e in nodes if e.args[1].op == "param")


def often_written(roots: Iterable[E]) -> dict[int, int]:
    """How often each expression below `roots` is written, by identity."""
    often: dict[int, int] = {}
    nodes = list(ordered(roots))
    for e in nodes:
        often.setdefault(id(e), 0)
        for k, arg in enumerate(e.args):
            often[id(arg)] = often.get(id(arg), 0) + _times(e, k)
    for root in {id(e): e for e in roots}.values():
        often[id(root)] += 1
    return often


def _times(e: E, k: int) -> int:
    """How often argument `k` stands in the text of an operation."""
    text = OPS[e.op].text.get("c", "")
    found = [name for _, name, _, _ in Formatter().parse(text) if name == str(k)]
    return max(1, len(found))


def bare(text: str) -> str:
    """Without brackets around the whole."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for k, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and k < len(text) - 1:
            return text
    return text[1:-1]


def branch(condition: str, then: Sequence[str], other: Sequence[str]) -> list[str]:
    """A branch of two blocks, of which one or both may be empty."""
    if not then and not other:
        return []
    if not then:
        return [f"if (!({condition})) {{", *(INDENT + line for line in other), "}"]
    lines = [f"if ({condition}) {{", *(INDENT + line for line in then)]
    if other:
        lines += ["} else {", *(INDENT + line for line in other)]
    return [*lines, "}"]
