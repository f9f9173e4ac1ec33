"""Write a `StepGraph` as ONNX: one step with explicit state, for onnxruntime.

Inputs: the step's input, then every state; outputs: what the result populations send, then every
state after the step, under the input's name with `.next`. All float64, zero before the first
step; the batch may vary. States are `<population>.v`, `.i`, `.wait` (refractory steps left) and
`<source>.past<k>`: what a source sent k steps ago.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.frontends.onnx_file import onnx_module
from snnstack.frontends.onnx_neuron_step import neurons
from snnstack.frontends.onnx_writer import Writer
from snnstack.ir.matrix import matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Projection, Sparse, StepGraph, size

OPSET = 17
LARGEST_DENSE = 2**27
"""Weights of a sparse projection that is written densely."""


def to_model(graph: StepGraph) -> Any:
    """The ModelProto of one step of `graph`.

    Raises ModelError for what has no such form: more than one input, a sparse projection too
    large to be written densely.
    """
    raise_if_any(ModelError, _problems(graph))
    onnx = onnx_module()
    w, port = Writer(onnx), graph.inputs[0]
    w.names.add(port.name)
    flat = w.op("Reshape", [port.name, w.constant([0, -1], "flat", np.int64)], f"{port.name}.flat")
    sent = {port.name: flat}
    sizes = {port.name: size(port.shape)} | {p.name: p.n for p in graph.populations}
    past = _past(w, graph, sizes)
    for population in graph.populations:
        parts = [
            _applied(w, q, past[q.source, q.delay] if q.delay else sent[q.source], population.n)
            for q in graph.into(population.name)
        ]
        sent[population.name] = neurons(w, population, parts, flat)
    _shift(w, past, sent)
    return _model(onnx, w, graph, sent)


def _problems(graph: StepGraph) -> list[Problem]:
    found = []
    if len(graph.inputs) != 1:
        found.append(Problem("network", f"has {len(graph.inputs)} inputs, can export 1"))
    for q in graph.projections:
        if isinstance(q.synapses, Sparse):
            n = graph.population(q.target).n * (len(q.synapses.indptr) - 1)
            if n > LARGEST_DENSE:
                what = f"is sparse, and dense it would have {n} weights, at most {LARGEST_DENSE}"
                found.append(Problem(str(q), what))
    return found


def _past(w: Writer, graph: StepGraph, sizes: dict[str, int]) -> dict[tuple[str, int], str]:
    """For every source with delayed synapses, what it sent 1, 2, ... steps ago."""
    longest: dict[str, int] = {}
    for q in graph.projections:
        longest[q.source] = max(longest.get(q.source, 0), q.delay)
    return {
        (name, k): w.state(f"{name}.past{k}", sizes[name])
        for name, most in longest.items()
        for k in range(1, most + 1)
    }


def _shift(w: Writer, past: dict[tuple[str, int], str], sent: dict[str, str]) -> None:
    for (name, k), state in past.items():
        w.next(state, sent[name] if k == 1 else past[name, k - 1])


def _applied(w: Writer, q: Projection, source: str, targets: int) -> str:
    name = f"{q.source}.{q.target}"
    if q.pool is not None:
        source = _pooled(w, q.pool, source, name)
    synapses = q.synapses
    if isinstance(synapses, Conv):
        return _convolved(w, synapses, source, name)
    weight = synapses.weight if isinstance(synapses, Dense) else _dense(synapses, targets)
    return w.op("MatMul", [source, w.constant(weight.T, f"{name}.weight")], name)


def _dense(synapses: Sparse, targets: int) -> Array:
    return np.asarray(matrix(synapses, targets).toarray())


def taps(conv: Conv) -> Array:
    """For every output place, the inputs under the kernel: int64 [groups, taps, places].

    What lies outside the image is input number `size(in_shape)`, a zero.
    """
    _, height, width = conv.in_shape
    _, oh, ow = conv.out_shape
    _, per_group, ky, kx = conv.weight.shape
    y = np.arange(oh) * conv.stride[0] - conv.padding[0]
    x = np.arange(ow) * conv.stride[1] - conv.padding[1]
    y = y + (np.arange(ky) * conv.dilation[0])[:, None]
    x = x + (np.arange(kx) * conv.dilation[1])[:, None]
    inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[None, :, None]
    place = y[:, None, :, None] * width + x[None, :, None]
    channel = np.arange(conv.groups * per_group) * (height * width)
    found = channel.reshape(conv.groups, per_group, 1, 1, 1, 1) + place
    found = np.where(inside, found, size(conv.in_shape))
    return np.asarray(found.reshape(conv.groups, per_group * ky * kx, oh * ow))


def _convolved(w: Writer, conv: Conv, source: str, name: str) -> str:
    """Gather and MatMul: onnxruntime has no convolution of float64."""
    found_at = taps(conv)
    extra = w.constant([0, 0, 0, 1], f"{name}.one", np.int64)
    padded = w.op("Pad", [source, extra, w.constant(0.0, f"{name}.zero")], f"{name}.padded")
    index = w.constant(found_at, f"{name}.taps", np.int64)
    columns = w.op("Gather", [padded, index], f"{name}.columns", axis=1)
    weight = conv.weight.reshape(conv.groups, -1, found_at.shape[1])
    found = w.op("MatMul", [w.constant(weight, f"{name}.weight"), columns], f"{name}.map")
    windows = ("in_shape", "out_shape", "stride", "padding", "dilation", "groups")
    said = {key: getattr(conv, key) for key in windows}
    w.convolutions[found] = {**said, "weight": conv.weight.shape}
    shape = w.constant([0, -1], f"{name}.flat", np.int64)
    return w.op("Reshape", [found, shape], name)


def _pooled(w: Writer, pool: Pool, source: str, name: str) -> str:
    """A sum over windows: a convolution of every channel with ones."""
    channels = pool.in_shape[0]
    ones = np.ones((channels, 1, *pool.kernel))
    conv = Conv(ones, pool.in_shape, pool.out_shape, pool.stride, pool.padding, (1, 1), channels)
    return _convolved(w, conv, source, f"{name}.pool")


def _model(onnx: Any, w: Writer, graph: StepGraph, sent: dict[str, str]) -> Any:
    helper, double, port = onnx.helper, onnx.TensorProto.DOUBLE, graph.inputs[0]

    def value(name: str, shape: tuple[int, ...]) -> Any:
        return helper.make_tensor_value_info(name, double, ["batch", *shape])

    outputs = []
    for name in graph.outputs:
        w.nodes.append(helper.make_node("Identity", [sent[name]], [f"{name}.out"]))
        outputs.append(value(f"{name}.out", (graph.population(name).n,)))
    states = [value(name, (n,)) for name, n in w.states]
    after = [value(f"{name}.next", (n,)) for name, n in w.states]
    made = helper.make_graph(
        w.nodes,
        str(graph.settings.get("name", "network")),
        [value(port.name, port.shape), *states],
        [*outputs, *after],
        w.constants,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9, producer_name="snnstack"
    )
    about: dict[str, Any] = {"dt": graph.dt, "events": port.events}
    about["outputs"] = ",".join(graph.outputs)
    about["shapes"] = json.dumps({p.name: p.shape for p in graph.populations})
    about["convolutions"] = json.dumps(w.convolutions)
    helper.set_model_props(model, {f"snnstack.{k}": str(v) for k, v in about.items()})
    onnx.checker.check_model(model)
    return model


def run_onnx(model: Any, graph: StepGraph, x: Array) -> dict[str, Array]:
    """{output population: [batch, step, n]} of an exported model, by onnxruntime.

    `x` [batch, step, *input shape]; states begin at 0 and are handed from step to step.
    """
    from snnstack.frontends.onnx_session import opened

    running = opened(model.SerializeToString())  # made here, from a graph
    names = [i.name for i in running.get_inputs()]
    states = {i.name: np.zeros((len(x), *i.shape[1:])) for i in running.get_inputs()[1:]}
    wanted = [f"{name}.out" for name in graph.outputs]
    parts: list[list[Array]] = []
    for t in range(x.shape[1]):
        feeds = {names[0]: x[:, t].astype(np.float64), **states}
        found = running.run([*wanted, *(f"{n}.next" for n in names[1:])], feeds)
        parts.append(found[: len(wanted)])
        states = dict(zip(names[1:], found[len(wanted) :], strict=True))
    columns = zip(*parts, strict=True)
    return {n: np.stack(c, axis=1) for n, c in zip(graph.outputs, columns, strict=True)}
