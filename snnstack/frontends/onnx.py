"""ONNX, the door: an ANN is converted, a spiking network refused with what would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends.onnx_convert import ann_data, convert, read_ann
from snnstack.frontends.onnx_file import OnnxGraph, parsed, read_model
from snnstack.ir.graph import Graph

CONVERT = "--calibrate DATA, or calibrate=: real samples that the ANN takes"


SPIKES = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sign", "Heaviside")
"""Operations by which exported neurons fire; an ANN has none of them."""
MODULE = "give the trained module itself: snnstack.load(module, sample)"


def read(path: Path, calibrate: Any = None) -> Graph:
    """The graph of the model in `path`; an ANN needs real samples to be balanced on."""
    model = read_model(path)
    raise_if_any(ModelError, spiking_problems(parsed(model, path.stem), str(path)))
    ann = read_ann(path)
    if calibrate is None:
        what = "is an ANN: its thresholds are balanced on samples"
        raise fail(ModelError, str(path), what, CONVERT)
    return convert(ann, ann_data(calibrate))


def spiking_problems(graph: OnnxGraph, where: str) -> list[Problem]:
    """Why a file with neurons that fire is not taken: most of all, a state that it lost.

    Neurons whose membrane is kept inside the module (snnTorch's `init_hidden=True`) are exported
    without it: what is left starts from the same membrane in every step.
    """
    firing = [node for node in graph.nodes if node.op in SPIKES]
    if not firing:
        return []
    if len(graph.inputs) == 1:
        what = (
            f"has neurons that fire ({firing[0].name}) but no state as input: exporting lost it, "
            "so every step starts anew"
        )
        hint = f"export one step with explicit state (init_hidden=False); better, {MODULE}"
        return [Problem(where, what, hint)]
    states = ", ".join(graph.inputs[1:])
    what = f"is one step of a spiking network with the states {states}; such files are not read"
    return [Problem(where, what, MODULE)]
