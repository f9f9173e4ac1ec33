"""The verb `to_onnx`: any network as one step with explicit state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnstack.files import write_file
from snnstack.foreign import vouching
from snnstack.frontends import onnx_export
from snnstack.ir.graph import Graph
from snnstack.ir.learning import refuse_learning
from snnstack.ir.step import StepGraph
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.samples import Samples


@vouching
def to_onnx(
    model: str | Path | Graph | StepGraph,
    options: Options | None = None,
    *,
    calibrate: Samples | None = None,
    trust: bool = False,
) -> Any:
    """An onnx.ModelProto that computes one step; see docs/onnx.md for its inputs and outputs.

    `trust`: files are read in this process, without limits of time and memory (docs/security.md).
    """
    if not isinstance(model, StepGraph):
        model = discretised(load(model, options, calibrate=calibrate))
    refuse_learning(model, "a step in ONNX")
    return onnx_export.to_model(model)


def save_onnx(model: Any, path: Path) -> None:
    """Write what `to_onnx` made."""
    write_file(model.SerializeToString(), path)
