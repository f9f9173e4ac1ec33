"""Operations on single elements of a spiking step, and on a time axis of one step."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnstack.frontends.onnx_file import OnnxNode
from snnstack.frontends.onnx_switches import above, tabled
from snnstack.frontends.onnx_terms import (
    Atom,
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


def _compare(walk: Walk, node: OnnxNode) -> Terms | None:
    left, right = (walk.of(name) for name in node.inputs)
    if node.op.startswith("Less"):
        left, right = right, left
    compare: Compare = "ge" if node.op.endswith("OrEqual") else "gt"
    return above(walk, add(left, right, -1.0), compare, node.name)


def _equal(walk: Walk, node: OnnxNode) -> Terms | None:
    """What is not below and not above."""
    found = add(walk.of(node.inputs[0]), walk.of(node.inputs[1]), -1.0)
    least, more = (above(walk, found, kind, node.name) for kind in ("ge", "gt"))
    return None if least is None or more is None else add(least, more, -1.0)


def _sign(walk: Walk, node: OnnxNode) -> Terms | None:
    """1 above 0, -1 below."""
    found = walk.of(node.inputs[0])
    atom = found.only()
    if atom is not None and atom.kind == "positive":
        return above(walk, found, "gt", node.name)
    least, more = (above(walk, found, kind, node.name) for kind in ("ge", "gt"))
    if least is None or more is None:
        return None
    return add(add(least, more), constant(1.0), -1.0)


def _max(walk: Walk, node: OnnxNode) -> Terms | None:
    """The larger of 0 and something: of a refractory time that runs down, of a sign."""
    zero = [k for k in range(len(node.inputs)) if walk.constant(node, k) is not None]
    if len(node.inputs) == 1:
        return _above_zero(walk, walk.of(node.inputs[0]), np.inf)
    if len(node.inputs) != 2 or not zero:
        return _of_switches(walk, node, np.maximum)
    if np.any(walk.constant(node, zero[0])):
        return _of_switches(walk, node, np.maximum)
    return _above_zero(walk, walk.of(node.inputs[1 - zero[0]]), np.inf)


def _min(walk: Walk, node: OnnxNode) -> Terms | None:
    return _of_switches(walk, node, np.minimum)


def _clip(walk: Walk, node: OnnxNode) -> Terms | None:
    """Between 0 and a limit, if there is one."""
    low, high = (walk.constant(node, k) for k in (1, 2))
    least = node.attributes.get("min") if low is None else float(low)
    most = node.attributes.get("max", np.inf) if high is None else float(high)
    given = walk.of(node.inputs[0])
    if is_switch(given):
        floor = -np.inf if least is None else least
        return tabled(given.shape, [given], lambda v: np.clip(v, floor, most))
    return _above_zero(walk, given, most) if least == 0.0 else None


def _above_zero(walk: Walk, given: Terms, most: float) -> Terms | None:
    """`given` between 0 and `most`; what is made of comparisons stays so."""
    if is_switch(given):
        return tabled(given.shape, [given], lambda v: np.clip(v, 0.0, most))
    if most not in (1.0, np.inf):
        return None
    atom = Atom("positive", ("" if most == np.inf else "to 1 ") + given.key())
    walk.positive[atom] = given
    return single(atom, given.shape)


def _of_switches(walk: Walk, node: OnnxNode, function: Any) -> Terms | None:
    """A function of comparisons alone."""
    given = [walk.of(name) for name in node.inputs]
    if not given or not all(is_switch(terms) for terms in given):
        return None
    shape = np.broadcast_shapes(*(terms.shape for terms in given))
    return tabled(shape, given, lambda *values: function.reduce(np.broadcast_arrays(*values)))


def _ceil(walk: Walk, node: OnnxNode) -> Terms | None:
    """Of something between 0 and 1: whether it is above 0."""
    given = walk.of(node.inputs[0])
    atom = given.only()
    if is_switch(given):
        return given
    if atom is None or atom.kind != "positive" or not atom.name.startswith("to 1 "):
        return None
    return above(walk, walk.positive[atom], "gt", node.name)


def _or(walk: Walk, node: OnnxNode) -> Terms | None:
    left, right = (walk.of(name) for name in node.inputs)
    both = times(left, right)
    if both is None:
        return None
    return add(add(left, right), both, -2.0 if node.op == "Xor" else -1.0)


def _expand(walk: Walk, node: OnnxNode) -> Terms | None:
    """Spread over a larger shape."""
    given, shape = walk.of(node.inputs[0]), walk.constant(node, 1)
    if shape is None:
        return None
    wanted = np.broadcast_shapes(given.shape, tuple(int(n) for n in shape.ravel()))
    return given if wanted == given.shape else add(constant(np.zeros(wanted)), given)


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
    **dict.fromkeys(("Or", "Xor"), _or),
    **dict.fromkeys(("Max", "Relu"), _max),
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), _compare),
    **dict.fromkeys(("Mul", "And"), _mul),
    **dict.fromkeys(("Identity", "Dropout"), _same),
    **dict.fromkeys(("Unsqueeze", "Squeeze", "Slice", "Gather"), _time),
    "Div": _div,
    "Neg": _neg,
    "Cast": _cast,
    "Not": _not,
    "Where": _where,
    "Min": _min,
    "Clip": _clip,
    "Ceil": _ceil,
    "Sign": _sign,
    "Equal": _equal,
    "Expand": _expand,
}
