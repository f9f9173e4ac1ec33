"""ONNX, the door: an ANN is converted, a one-step spiking network read, a lost state refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnstack.errors import ModelError, fail
from snnstack.frontends.onnx_convert import ann_data, convert, read_ann
from snnstack.ir.graph import Graph

CONVERT = "--calibrate DATA, or calibrate=: real samples that the ANN takes"


def read(path: Path, calibrate: Any = None) -> Graph:
    """The graph of the model in `path`; an ANN needs real samples to be balanced on."""
    ann = read_ann(path)
    if calibrate is None:
        what = "is an ANN: its thresholds are balanced on samples"
        raise fail(ModelError, str(path), what, CONVERT)
    return convert(ann, ann_data(calibrate))
