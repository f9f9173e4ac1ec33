"""ONNX, the door: an ANN is converted, one step of a spiking network read as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends.onnx_convert import ann_data, as_ann, convert
from snnstack.frontends.onnx_file import OnnxGraph, read_model
from snnstack.frontends.onnx_step import StepFile, read_step
from snnstack.ir.graph import Graph
from snnstack.passes.options import Options

CONVERT = "--calibrate DATA, or calibrate=: real samples that the ANN takes"


SPIKES = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sign", "Heaviside")
"""Operations by which exported neurons fire; an ANN has none of them."""
MODULE = "give the trained module itself: snnstack.load(module, sample)"


def read(path: Path, options: Options, calibrate: Any = None) -> Graph | StepFile:
    """The graph of the ANN in `path`, balanced on real samples; a spiking step still unproved."""
    model, graph = read_model(path)
    raise_if_any(ModelError, _lost(graph, str(path)))
    if any(node.op in SPIKES for node in graph.nodes) or _is_ours(graph):
        return read_step(model, graph, options)
    ann = as_ann(model, graph, str(path))
    if calibrate is None:
        what = "is an ANN: its thresholds are balanced on samples"
        raise fail(ModelError, str(path), what, CONVERT)
    return convert(ann, ann_data(calibrate))


def _is_ours(graph: OnnxGraph) -> bool:
    return "snnstack.dt" in graph.about


def _lost(graph: OnnxGraph, where: str) -> list[Problem]:
    """A spiking network whose state the export lost.

    Neurons whose membrane is kept inside the module (snnTorch's `init_hidden=True`) are exported
    without it: what is left starts from the same membrane in every step.
    """
    firing = [node for node in graph.nodes if node.op in SPIKES]
    if not firing or len(graph.inputs) > 1:
        return []
    what = (
        f"has neurons that fire ({firing[0].name}) but no state as input: exporting lost it, "
        "so every step starts anew"
    )
    hint = f"export one step with explicit state (init_hidden=False); better, {MODULE}"
    return [Problem(where, what, hint)]
