"""What a neuron is given while no spike arrives: in the first steps, and from then on.

A layer whose output is kept for the next step, and neurons that act on their input a step late,
get a bias later than step 0. In a `StepGraph` a bias is there from step 0 on, so that the
difference is made up by a neuron that fires in every step, through synapses with a delay.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from snnstack.frontends.torch_layers import channel_affine
from snnstack.frontends.torch_record import Recorder
from snnstack.frontends.torch_steps import expression_key
from snnstack.frontends.torch_values import Value
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.nodes import Affine, Array, AvgPool2d, Leaf, Shape, SumPool2d
from snnstack.ir.shapes import output_shape
from snnstack.ir.step import size
from snnstack.passes.compose import LinearMap, extend, finished

SAME = 1e-6
"""Constants this near to each other, as a fraction of the largest, are one in single precision."""


def constants(recorder: Recorder, name: str) -> list[Array]:
    """The constant input of a neuron in steps 0, 1, ..., the last one for good.

    A single one where it never changes; none where an expression cannot be looked into.
    """
    calls, (_, kind) = recorder.calls[name], recorder.modules[name]
    keys = [expression_key(value, recorder, k) for k, value in enumerate(calls)]
    early = next((k for k, key in enumerate(keys) if key == keys[-1]), 0)
    delays = _delays(calls[-1], recorder.reading) if name in recorder.sequences else 0
    if not (early or kind.late or delays) or (name in recorder.sequences and not delays):
        return []
    found = [resting(value) for value in (*calls[:early], calls[-1])]
    if delays:
        found = [resting(calls[-1], recorder.reading, step) for step in range(delays + 1)]
    known = [values for values in found if values is not None]
    if len(known) < len(found) or len({values.size for values in known}) > 1:
        return []
    if kind.late:
        known.insert(0, np.zeros_like(known[0]))
    near = SAME * max(float(np.abs(values).max(initial=0.0)) for values in known)
    while len(known) > 1 and np.all(np.abs(known[-1] - known[-2]) <= near):
        known.pop(-2)
    return known


def beginnings(values: list[Array]) -> list[tuple[int, Leaf]]:
    """(delay, layer behind a neuron that fires in every step) that turn the last into `values`."""
    found: list[tuple[int, Leaf]] = []
    shift = values[0] - values[-1]
    for delay, (before, now) in enumerate(pairwise(values), start=1):
        if np.any(now != before):
            found.append((delay, Affine((now - before)[:, None], shift)))
            shift = np.zeros_like(shift)
    return found


def _delays(value: Value, reading: int) -> int:
    """The most steps that an expression of all steps looks back."""
    own = reading - value.key if value.op == "at" else 0
    return own + max((_delays(inner, reading) for inner in value.args), default=0)


def resting(value: Value, reading: int = 0, step: int | None = None) -> Array | None:
    """The elements of an expression where all spikes and the input are 0; None if unknown.

    `step`: in which a value a few steps later ("at", of `reading`) may not have begun yet.
    """
    if value.op == "at" and step is not None:
        step -= reading - value.key
        if step < 0:
            return np.zeros(size(value.shape))
    if value.op in ("x", "spikes", "state", "zero", "max"):
        return np.zeros(size(value.shape))
    if value.op == "opaque":
        constant = isinstance(value.data, np.ndarray)
        return np.asarray(value.data, dtype=np.float64) if constant else None
    parts = [resting(inner, reading, step) for inner in value.args]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    match value.op:
        case "reshape" | "at":
            return known[0]
        case "gather":
            return np.asarray(np.concatenate(known)[value.data])
        case "sum":
            return np.asarray(sum(known))
        case "gate":
            return np.asarray(sum(known) > value.data, dtype=np.float64)
        case "mix":
            return np.asarray(value.data @ known[0])
    return _through(value, known[0])


def _through(value: Value, values: Array) -> Array | None:
    """`values` through the nodes of a layer."""
    shape = value.args[0].shape
    try:
        made = channel_affine(*value.data) if value.op == "affine" else value.data
        for _, node in made(shape):
            after = output_shape(node, shape)
            values, shape = _applied(node, values, shape, after), after
    except ValueError:  # told where the network is built
        return None
    return values


def _applied(node: Any, values: Array, shape: Shape, after: Shape) -> Array:
    out = np.zeros(size(after))
    if values.any():
        factor = 1.0
        if isinstance(node, AvgPool2d):
            factor = 1.0 / (node.kernel_size[0] * node.kernel_size[1])
            node = SumPool2d(node.kernel_size, node.stride, node.padding)
        (made,) = extend(LinearMap(shape, shape), node, None)
        pool, synapses = finished(made)
        values = values if pool is None else pool_matrix(pool) @ values
        out = factor * np.asarray(matrix(synapses, size(after)) @ values)
    bias: Array | None = getattr(node, "bias", None)
    if bias is None:
        return out
    if hasattr(node, "stride"):
        return np.asarray(out + np.repeat(bias, size(after) // len(bias)))
    return np.asarray(out + np.broadcast_to(bias, after).ravel())
