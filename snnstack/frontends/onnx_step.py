"""One step of a spiking network in ONNX, with its states as inputs and outputs, as a `Graph`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_build import StepBuilder
from snnstack.frontends.onnx_file import OnnxGraph, onnx_module
from snnstack.frontends.onnx_neurons import HINT, recognised
from snnstack.frontends.onnx_session import Session
from snnstack.frontends.onnx_states import paired
from snnstack.frontends.onnx_terms import Terms
from snnstack.frontends.onnx_values import Walk
from snnstack.frontends.onnx_walk import walked
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Array, EventKind
from snnstack.passes.options import Options

DEFAULT_DT = 1e-3
"""Seconds of a step where the file says nothing: it changes no spike."""
EVENTS: tuple[EventKind, ...] = ("binary", "count", "real")


@dataclass(frozen=True, eq=False)
class StepFile:
    """A file and the graph that was read from it.

    `after`: {state: its output}; `sent`: {neuron node: the tensor of its spikes, or of the
    membrane of what does not fire}.
    """

    model: Any
    onnx: OnnxGraph
    graph: Graph
    after: Mapping[str, str]
    sent: Mapping[str, str]


def read_step(model: Any, onnx: OnnxGraph, options: Options) -> StepFile:
    """The network of a step; ModelError for what is not recognised, by its node's name."""
    try:
        with np.errstate(all="ignore"):  # numbers that are not finite are refused by the rules
            return _read_step(model, onnx, options)
    except ValueError as error:  # numpy's, of shapes
        what = f"has tensors whose shapes do not go together: {error}"
        raise fail(ModelError, onnx.name, what.splitlines()[0], HINT) from error


def _read_step(model: Any, onnx: OnnxGraph, options: Options) -> StepFile:
    first = _input(onnx)
    walk = walked(onnx, first)
    after = paired(walk, tuple(name for name in onnx.inputs if name != first))
    found = recognised(walk, after)
    dt, events, settings = _said(onnx, options)
    builder = StepBuilder(walk, dt)
    results = _results(onnx, after)
    graph = builder.graph(first, events, found, results)
    settings |= dict.fromkeys(("integrator", "reset", "reset_time", "compare"), "file")
    graph = graph.with_(settings=settings, metadata={"name": onnx.name})
    sent = {builder.names[n.state]: _tensor(walk, n.sent()) for n in found.neurons}
    return StepFile(model, onnx, graph, after, {k: v for k, v in sent.items() if v})


def _input(onnx: OnnxGraph) -> str:
    """The input that is no state: the first one."""
    for name in onnx.inputs:
        if not onnx.shapes.get(name):
            what = "is an input without a fixed shape behind the batch"
            raise fail(ModelError, name, what, "export with a sample; only the batch may vary")
    return onnx.inputs[0]


def _results(onnx: OnnxGraph, after: Mapping[str, str]) -> tuple[str, ...]:
    """The outputs that are no state; if there is none, the first one is both."""
    return tuple(o for o in onnx.outputs if o not in after.values()) or onnx.outputs[:1]


def _said(onnx: OnnxGraph, options: Options) -> tuple[float, EventKind, dict[str, str]]:
    noted, settings = onnx.about, {"dt": "default", "events": "default"}
    dt, events = DEFAULT_DT, "count"
    if "snnstack.dt" in noted:
        dt, settings["dt"] = _number(onnx, noted["snnstack.dt"]), "file"
    if noted.get("snnstack.events") in EVENTS:
        events, settings["events"] = noted["snnstack.events"], "file"
    if options.dt is not None:
        dt, settings["dt"] = options.dt, "option"
    return dt, events, settings  # type: ignore[return-value]


def _number(onnx: OnnxGraph, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < float("inf"):
        raise fail(ModelError, onnx.name, f"says the time step {text!r}", "a number above 0")
    return value


def _tensor(walk: Walk, sent: Terms) -> str:
    """A tensor of the file that holds what neurons send, "" if there is none."""
    key, constants = sent.key(), walk.onnx.constants
    inputs = (*walk.onnx.inputs, *constants)
    names = (n for n in walk.values if n not in inputs and walk.values[n].shape == sent.shape)
    return next((n for n in names if walk.values[n].key() == key), "")


def run_step_file(file: StepFile, x: Array, double: bool = False) -> dict[str, Array]:
    """{neuron node: [sample, step, n]} of the file stepped over `x` [sample, step, *shape].

    By onnxruntime; with `double` by onnx's own evaluator, in double precision.
    """
    wanted = list(dict.fromkeys(file.sent.values()))
    names = [*wanted, *file.after.values()]
    run, dtype = _double(file, names) if double else _runtime(file, names)
    fixed = file.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    size = fixed or len(x)
    if len(x) % size:
        what = f"takes {size} samples at once, the sample has {len(x)}"
        raise fail(ModelError, file.onnx.name, what, "export it for one sample, or any number")
    parts = [
        _stepped(file, run, names, x[k : k + size].astype(dtype)) for k in range(0, len(x), size)
    ]
    whole = {n: np.concatenate([part[n] for part in parts]) for n in wanted}
    return {name: whole[tensor] for name, tensor in file.sent.items()}


def _stepped(file: StepFile, run: Any, names: list[str], x: Array) -> dict[str, Array]:
    shapes = file.onnx.shapes
    states = {s: np.zeros((len(x), *(shapes[s] or ())), x.dtype) for s in file.after}
    kept = list(dict.fromkeys(file.sent.values()))
    steps: list[list[Array]] = []
    for t in range(x.shape[1]):
        found = dict(zip(names, run(names, {file.onnx.inputs[0]: x[:, t], **states}), strict=True))
        steps.append([np.asarray(found[n]).reshape(len(x), -1) for n in kept])
        states = {s: np.asarray(found[o]) for s, o in file.after.items()}
    return {n: np.stack(c, axis=1) for n, c in zip(kept, zip(*steps, strict=True), strict=True)}


def _runtime(file: StepFile, names: list[str]) -> tuple[Any, Any]:
    running = Session(file.model, names)
    kind = running.get_inputs()[0].type
    dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}.get(kind)
    if dtype is None:
        raise fail(ModelError, file.onnx.inputs[0], f"is a {kind}", "export it in float32")
    return running.run, dtype


def _double(file: StepFile, names: list[str]) -> tuple[Any, Any]:
    onnx = onnx_module()
    single, double = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
    model = onnx.ModelProto()
    model.CopyFrom(file.model)
    graph = model.graph
    for tensor in (*graph.initializer, *_literals(graph)):
        if tensor.data_type == single:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == single:
                attribute.i = double
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == single:
            info.type.tensor_type.elem_type = double
    del graph.value_info[:]
    present = {o.name for o in graph.output}
    graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(n) for n in names if n not in present
    )
    return Session(model, double=True).run, np.float64


def _literals(graph: Any) -> list[Any]:
    constants = (n for n in graph.node if n.op_type in ("Constant", "ConstantOfShape"))
    return [a.t for n in constants for a in n.attribute if a.name == "value"]


def with_agreement(file: StepFile, noted: Mapping[str, Any]) -> Graph:
    """The graph, with what was compared."""
    return replace(file.graph, metadata={**file.graph.metadata, "agreement": dict(noted)})
