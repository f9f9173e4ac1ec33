"""Write a `StepGraph` as ONNX: one step with explicit state, for onnxruntime.

Inputs: the step's input, then every state; outputs: what the result populations send, then every
state after the step, under the input's name with `.next`. All float64, zero before the first
step; the batch may vary. States are `<population>.v`, `.i`, `.wait` (refractory steps left) and
`<source>.past<k>`: what a source sent k steps ago.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, raise_if_any
from snnstack.frontends.onnx_file import onnx_module
from snnstack.ir.matrix import matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Dense, Pool, Population, Projection, Sparse, StepGraph, size

OPSET = 17
LARGEST_DENSE = 2**27
"""Weights of a sparse projection that is written densely."""


@dataclass
class _Writer:
    """Nodes, constants and states of the graph under construction."""

    onnx: Any
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    states: list[tuple[str, int]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    convolutions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def fresh(self, name: str) -> str:
        """`name`, made unique."""
        unique, k = name, 2
        while unique in self.names:
            unique, k = f"{name}_{k}", k + 1
        self.names.add(unique)
        return unique

    def constant(self, values: Any, name: str, dtype: Any = np.float64) -> str:
        unique = self.fresh(name)
        array = np.asarray(values, dtype=dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, unique))
        return unique

    def op(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        unique = self.fresh(name)
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [unique], unique, **attributes))
        return unique

    def state(self, name: str, n: int) -> str:
        """A state of `n` elements; returns its name as an input."""
        self.states.append((name, n))
        self.names.add(name)
        return name

    def next(self, name: str, value: str) -> None:
        """`value` is the state `name` after the step."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [f"{name}.next"]))


def to_model(graph: StepGraph) -> Any:
    """The ModelProto of one step of `graph`.

    Raises ModelError for what has no such form: more than one input, a sparse projection too
    large to be written densely.
    """
    raise_if_any(ModelError, _problems(graph))
    onnx = onnx_module()
    w, port = _Writer(onnx), graph.inputs[0]
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
        sent[population.name] = _neurons(w, population, parts, flat)
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


def _past(w: _Writer, graph: StepGraph, sizes: dict[str, int]) -> dict[tuple[str, int], str]:
    """For every source with delayed synapses, what it sent 1, 2, ... steps ago."""
    longest: dict[str, int] = {}
    for q in graph.projections:
        longest[q.source] = max(longest.get(q.source, 0), q.delay)
    return {
        (name, k): w.state(f"{name}.past{k}", sizes[name])
        for name, most in longest.items()
        for k in range(1, most + 1)
    }


def _shift(w: _Writer, past: dict[tuple[str, int], str], sent: dict[str, str]) -> None:
    for (name, k), state in past.items():
        w.next(state, sent[name] if k == 1 else past[name, k - 1])


def _applied(w: _Writer, q: Projection, source: str, targets: int) -> str:
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


def _convolved(w: _Writer, conv: Conv, source: str, name: str) -> str:
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


def _pooled(w: _Writer, pool: Pool, source: str, name: str) -> str:
    """A sum over windows: a convolution of every channel with ones."""
    channels = pool.in_shape[0]
    ones = np.ones((channels, 1, *pool.kernel))
    conv = Conv(ones, pool.in_shape, pool.out_shape, pool.stride, pool.padding, (1, 1), channels)
    return _convolved(w, conv, source, f"{name}.pool")


def _neurons(w: _Writer, p: Population, parts: list[str], like: str) -> str:
    """The equations of `snnstack.ir.step`; returns what is sent."""
    x = _sum(w, p, parts, like)
    v = w.state(f"{p.name}.v", p.n)
    if p.beta is not None:
        i = w.state(f"{p.name}.i", p.n)
        x = _axpy(w, p.beta, i, _times(w, x, p.gain_in, f"{p.name}.in"), f"{p.name}.current")
        w.next(i, x)
    x = _times(w, x, p.gain, f"{p.name}.drive")
    if p.threshold is None:
        new = _plus(w, _axpy(w, p.alpha, v, x, f"{p.name}.sum"), p.leak, f"{p.name}.new")
        w.next(v, new)
        return new
    before = _above(w, p, v, "before") if p.reset_time != "now" else ""
    new, fired = _fired(w, p, v, x, before)
    if p.refractory:
        new, fired = _refractory(w, p, v, new, fired)
    w.next(v, _reset(w, p, new, fired, before))
    return fired


def _sum(w: _Writer, p: Population, parts: list[str], like: str) -> str:
    if not parts:  # zeros of the batch's length
        column = w.op("ReduceSum", [like, w.constant([1], f"{p.name}.axis", np.int64)],
                      f"{p.name}.column", keepdims=1)  # fmt: skip
        parts = [w.op("Mul", [column, w.constant(np.zeros((1, p.n)), f"{p.name}.none")],
                      f"{p.name}.silence")]  # fmt: skip
    total = parts[0]
    for part in parts[1:]:
        total = w.op("Add", [total, part], f"{p.name}.x")
    return _plus(w, total, p.bias, f"{p.name}.biased")


def _plus(w: _Writer, x: str, values: Array, name: str) -> str:
    if not np.any(values):
        return x
    return w.op("Add", [x, w.constant(values, f"{name}.constant")], name)


def _times(w: _Writer, x: str, values: Array, name: str) -> str:
    if np.all(values == 1.0):
        return x
    return w.op("Mul", [x, w.constant(values, f"{name}.gain")], name)


def _axpy(w: _Writer, factor: Array, state: str, x: str, name: str) -> str:
    decayed = w.op("Mul", [state, w.constant(factor, f"{name}.decay")], f"{name}.decayed")
    return w.op("Add", [decayed, x], name)


def _above(w: _Writer, p: Population, v: str, name: str) -> str:
    """1.0 where `v` is beyond the threshold."""
    threshold = w.constant(p.threshold, f"{p.name}.threshold")
    kind = "GreaterOrEqual" if p.compare == "ge" else "Greater"
    beyond = w.op(kind, [v, threshold], f"{p.name}.{name}.is")
    return w.op("Cast", [beyond], f"{p.name}.{name}", to=w.onnx.TensorProto.DOUBLE)


def _fired(w: _Writer, p: Population, v: str, x: str, before: str) -> tuple[str, str]:
    """(membrane before a reset, spikes)."""
    kind, when = p.reset, p.reset_time
    if kind == "set" and when == "next":
        v = _set(w, p, v, before, "old")
    new = _plus(w, _axpy(w, p.alpha, v, x, f"{p.name}.sum"), p.leak, f"{p.name}.leaked")
    if kind == "set" and when == "next_all":
        new = _set(w, p, new, before, "reset")
    if kind == "subtract" and when in ("next", "recheck"):
        new = _less(w, p, new, before, "late")
    return new, _above(w, p, new, "spikes")


def _less(w: _Writer, p: Population, v: str, spikes: str, name: str) -> str:
    threshold = w.constant(p.threshold, f"{p.name}.{name}.threshold")
    amount = w.op("Mul", [spikes, threshold], f"{p.name}.{name}.amount")
    return w.op("Sub", [v, amount], f"{p.name}.{name}")


def _set(w: _Writer, p: Population, v: str, spikes: str, name: str) -> str:
    is_one = w.op("Cast", [spikes], f"{p.name}.{name}.is", to=w.onnx.TensorProto.BOOL)
    value = w.constant(p.v_reset, f"{p.name}.{name}.v_reset")
    return w.op("Where", [is_one, value, v], f"{p.name}.{name}")


def _reset(w: _Writer, p: Population, v: str, fired: str, before: str) -> str:
    if p.reset_time == "recheck":
        change = w.op("Sub", [fired, before], f"{p.name}.change")
        return _less(w, p, v, change, "rechecked")
    if p.reset_time != "now" or p.reset == "none":
        return v
    return _set(w, p, v, fired, "after") if p.reset == "set" else _less(w, p, v, fired, "after")


def _refractory(w: _Writer, p: Population, v: str, new: str, fired: str) -> tuple[str, str]:
    """While `wait` is above 0 the membrane keeps its value and nothing is sent."""
    wait, zero = w.state(f"{p.name}.wait", p.n), w.constant(0.0, f"{p.name}.zero")
    waiting = w.op("Greater", [wait, zero], f"{p.name}.waits")
    new = w.op("Where", [waiting, v, new], f"{p.name}.kept")
    fired = w.op("Where", [waiting, zero, fired], f"{p.name}.fires")
    one = w.constant(1.0, f"{p.name}.one")
    left = w.op("Max", [w.op("Sub", [wait, one], f"{p.name}.less"), zero], f"{p.name}.left")
    is_one = w.op("Cast", [fired], f"{p.name}.fires.is", to=w.onnx.TensorProto.BOOL)
    full = w.constant(float(p.refractory), f"{p.name}.period")
    w.next(wait, w.op("Where", [is_one, full, left], f"{p.name}.then"))
    return new, fired


def _model(onnx: Any, w: _Writer, graph: StepGraph, sent: dict[str, str]) -> Any:
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
    from snnstack.frontends.onnx_convert import session

    running = session(model)
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
