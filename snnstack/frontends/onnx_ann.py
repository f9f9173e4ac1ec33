"""An ONNX network of ReLUs becomes a spiking `Graph`: each ReLU is integrate-and-fire neurons.

A neuron of threshold L that subtracts L per spike and gets the ReLU's input in every step fires
at the rate relu(x) / L, up to one spike per step. L is the layer's largest usual activation
(threshold balancing: Rueckauer et al., Front. Neurosci. 11, 682, 2017). Half a threshold, spread
over the `steps` of an inference, turns rounding down into rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends.onnx_file import OnnxGraph, OnnxNode
from snnstack.frontends.onnx_layers import conv, gemm, mean, pad, pool, reshape
from snnstack.frontends.onnx_linear import Value
from snnstack.frontends.onnx_maps import concat, moved, resize, transposed
from snnstack.frontends.onnx_pointwise import arithmetic, batch_norm, is_relu, relu, same
from snnstack.frontends.onnx_tensors import InputRange, Tensors
from snnstack.frontends.onnx_transposes import without_transposes
from snnstack.frontends.sigma_delta import SigmaDelta, with_sums_begun
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import LI, Leaf, Output, Shape

MONOTONE = ("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "HardSigmoid")
"""At the very end these do not change which class is largest: left out."""
HINTS = {
    "MaxPool": "train with average pooling instead: spikes have no maximum",
    "LeakyRelu": "train with ReLU: a spiking neuron sends nothing negative",
    "PRelu": "train with ReLU: a spiking neuron sends nothing negative",
    "Elu": "train with ReLU",
    "Gelu": "train with ReLU",
    "Tanh": "train with ReLU",
    "Erf": "train with ReLU (this is part of a GELU)",
    "Sigmoid": "train with ReLU; a sigmoid can only be the last operation",
    "LSTM": "recurrent networks are not converted; train a spiking one",
    "GRU": "recurrent networks are not converted; train a spiking one",
    "QuantizeLinear": "give the float model: snnstack quantises for the target",
    "DequantizeLinear": "give the float model: snnstack quantises for the target",
}


def relu_tensors(graph: OnnxGraph) -> dict[str, str]:
    """{node name: its output} of every ReLU, for measuring activations."""
    return {n.name: n.outputs[0] for n in graph.nodes if is_relu(n, graph)}


def converted(
    graph: OnnxGraph,
    shape: Shape,
    thresholds: Mapping[str, float],
    given: InputRange,
    steps: int,
    delta: SigmaDelta | None = None,
) -> Graph:
    """The spiking network for inferences of `steps` steps; `thresholds` by ReLU node.

    `delta`: one of layers that send changes instead, for inputs that may change in every step.
    Raises ModelError naming every operation that cannot be converted, with what would do.
    """
    graph, shape = _turned(graph, shape)
    unknown = [n for n in graph.nodes if n.op not in _HANDLERS and n.op not in MONOTONE]
    raise_if_any(ModelError, [_unsupported(n) for n in unknown])
    with np.errstate(all="ignore"):  # weights that are not finite are refused by the rules
        found = _walked(Tensors(graph, shape, thresholds, given, steps, delta))
        return found if delta is None else with_sums_begun(found)


def _turned(graph: OnnxGraph, shape: Shape) -> tuple[OnnxGraph, Shape]:
    """Without transposes where all can be taken out, else each is a layer of its own."""
    try:
        return without_transposes(graph, shape)
    except ModelError:
        return graph, shape


def _unsupported(node: OnnxNode) -> Problem:
    known = ", ".join(sorted(op for op in _HANDLERS if op not in ("Clip", "Cast")))
    return Problem(node.name, f"{node.op} cannot be converted", HINTS.get(node.op, f"of: {known}"))


def _walked(c: Tensors) -> Graph:
    """All nodes in order, and a summing readout for every output."""
    dropped: list[str] = []
    for node in c.onnx.nodes:
        _visit(c, node, dropped)
    for name in c.onnx.outputs:
        value = c.values[name]
        ones = np.ones(value.shape)
        readout: Leaf = LI(tau=ones, r=ones, v_leak=np.zeros(value.shape))
        readout = readout if c.delta is None else c.delta.total(value.shape)
        result = c.build.add(f"{name}.sum", readout, c.build.placed(value))
        c.build.add(f"{name}.output", Output(value.shape), (result,))
    about: dict[str, Any] = {"name": c.onnx.name}
    if dropped:
        about["dropped"] = ", ".join(dropped)
    return Graph(
        nodes=c.build.nodes,
        edges=tuple(c.build.edges),
        dt=1.0,
        integrator="euler",
        settings={k: "file" for k in ("reset", "compare", "events")},
        metadata=about,
    )


def _visit(c: Tensors, node: OnnxNode, dropped: list[str]) -> None:
    data = [i for i in node.inputs if i and i not in c.onnx.constants]
    if node.op in MONOTONE:
        if any(c.onnx.consumers(o) for o in node.outputs):
            raise ModelError(_unsupported(node))
        dropped.append(f"{node.op} {node.name}")
        c.values[node.outputs[0]] = c.values[data[0]]
        return
    try:
        c.values[node.outputs[0]] = _HANDLERS[node.op](c, node, data)
    except (ValueError, ZeroDivisionError, OverflowError, MemoryError) as error:
        raise fail(ModelError, node.name, str(error), "use smaller maps") from error


_HANDLERS: Mapping[str, Callable[[Tensors, OnnxNode, list[str]], Value]] = {
    "Gemm": gemm,
    "MatMul": gemm,
    "Conv": conv,
    "ConvTranspose": transposed,
    "Resize": resize,
    "Upsample": resize,
    "DepthToSpace": moved,
    "SpaceToDepth": moved,
    "Transpose": moved,
    "Concat": concat,
    "Pad": pad,
    "Max": relu,
    "Relu": relu,
    "Clip": relu,
    "Add": arithmetic,
    "Sub": arithmetic,
    "Mul": arithmetic,
    "Div": arithmetic,
    "BatchNormalization": batch_norm,
    "AveragePool": pool,
    "GlobalAveragePool": pool,
    "ReduceMean": mean,
    "Flatten": reshape,
    "Reshape": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Identity": same,
    "Dropout": same,
    "Cast": same,
}
