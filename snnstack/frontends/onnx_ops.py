"""Operations on single elements of a spiking step, and on a time axis of one step."""

from __future__ import annotations

import numpy as np

from snnstack.frontends.onnx_file import OnnxNode
from snnstack.frontends.onnx_terms import (
    Atom,
    Firing,
    Terms,
    add,
    constant,
    is_switch,
    single,
    times,
)
from snnstack.frontends.onnx_values import Operations, Walk
from snnstack.ir.nodes import Compare

FLOATS, SWITCHES = (1, 10, 11, 16), (2, 3, 4, 5, 6, 7, 9, 12, 13)
"""Types that a Cast keeps every value in, and those in which only 0 and 1 are looked for."""


def _add(walk: Walk, node: OnnxNode) -> Terms:
    return add(walk.of(node.inputs[0]), walk.of(node.inputs[1]), -1.0 if node.op == "Sub" else 1.0)


def _mul(walk: Walk, node: OnnxNode) -> Terms | None:
    return times(walk.of(node.inputs[0]), walk.of(node.inputs[1]))


def _div(walk: Walk, node: OnnxNode) -> Terms | None:
    divisor = walk.constant(node, 1)
    if divisor is None or not np.all(divisor):
        return None
    return times(walk.of(node.inputs[0]), constant(1.0 / np.asarray(divisor, dtype=np.float64)))


def _neg(walk: Walk, node: OnnxNode) -> Terms:
    return add(constant(0.0), walk.of(node.inputs[0]), -1.0)


def _same(walk: Walk, node: OnnxNode) -> Terms:
    return walk.of(node.inputs[0])


def _cast(walk: Walk, node: OnnxNode) -> Terms | None:
    given, kind = walk.of(node.inputs[0]), node.attributes.get("to")
    return given if kind in FLOATS or (kind in SWITCHES and is_switch(given)) else None


def _not(walk: Walk, node: OnnxNode) -> Terms:
    return add(constant(1.0), walk.of(node.inputs[0]), -1.0)


def _where(walk: Walk, node: OnnxNode) -> Terms | None:
    test, yes, no = (walk.of(name) for name in node.inputs)
    kept, other = times(test, yes), times(add(constant(1.0), test, -1.0), no)
    return None if kept is None or other is None else add(kept, other)


def _compare(walk: Walk, node: OnnxNode) -> Terms:
    left, right = (walk.of(name) for name in node.inputs)
    if node.op.startswith("Less"):
        left, right = right, left
    compare: Compare = "ge" if node.op.endswith("OrEqual") else "gt"
    found = add(left, right, -1.0)
    atom = Atom("fires", f"{compare} {found.key()}")
    walk.firings.setdefault(atom, Firing(found, compare, node.name))
    return single(atom, found.shape)


def _max(walk: Walk, node: OnnxNode) -> Terms | None:
    """The larger of 0 and something: of a refractory time that runs down."""
    if len(node.inputs) != 2 or np.any(walk.constant(node, 1)):
        return None
    given = walk.of(node.inputs[0])
    atom = Atom("positive", given.key())
    walk.positive[atom] = given
    return single(atom, given.shape)


# A time axis of one step in front, as SpikingJelly has it


def _time(walk: Walk, node: OnnxNode) -> Terms | None:
    """An axis of length 1 put in front of the batch, or taken away again."""
    given = walk.of(node.inputs[0])
    if node.op == "Unsqueeze":
        if _axes(walk, node, 1) != [0]:
            return None
        walk.timed.add(node.outputs[0])
        return Terms((1, *given.shape), given.parts)
    if node.inputs[0] not in walk.timed or not _is_first(walk, node):
        return None
    if node.op == "Slice":
        walk.timed.add(node.outputs[0])
        return given
    return Terms(given.shape[1:], {p: given.factor(p)[0] for p in given.parts})


def _axes(walk: Walk, node: OnnxNode, position: int) -> list[int]:
    found = walk.constant(node, position)
    values = node.attributes.get("axes", []) if found is None else np.ravel(found)
    return [int(axis) for axis in values]


def _is_first(walk: Walk, node: OnnxNode) -> bool:
    """Whether it takes the only element of the first axis."""
    if node.op == "Squeeze":
        return _axes(walk, node, 1) == [0]
    index = walk.constant(node, 1)
    if index is None or np.any(index):
        return False
    if node.op == "Gather":
        return index.ndim == 0 and node.attributes.get("axis", 0) == 0
    return index.size == 1 and _axes(walk, node, 3) == [0] and walk.constant(node, 4) is None


ELEMENTS: Operations = {
    **dict.fromkeys(("Add", "Sub"), _add),
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), _compare),
    **dict.fromkeys(("Mul", "And"), _mul),
    **dict.fromkeys(("Identity", "Dropout"), _same),
    **dict.fromkeys(("Unsqueeze", "Squeeze", "Slice", "Gather"), _time),
    "Div": _div,
    "Neg": _neg,
    "Cast": _cast,
    "Not": _not,
    "Where": _where,
    "Max": _max,
}
