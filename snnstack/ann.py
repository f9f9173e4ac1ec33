"""ANN to SNN: the verbs `convert` and `accuracy_curve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.foreign import vouching
from snnstack.frontends.onnx_convert import PERCENTILE, AnnData, ann_data, read_ann
from snnstack.frontends.onnx_convert import convert as convert_ann
from snnstack.ir.graph import Graph
from snnstack.loading import discretised, load, model_path
from snnstack.report.curve import STEPS, Curve, curve
from snnstack.report.readout import classes, read_out
from snnstack.samples import run_float


@vouching
def convert(
    model: str | Path,
    calibrate: Any,
    *,
    steps: int | None = None,
    percentile: float = PERCENTILE,
    trust: bool = False,
) -> Graph:
    """The spiking graph of an ANN in an ONNX file, balanced on real samples.

    `steps`: of an inference, else what `calibrate` says (`...?encode=even&steps=16`), else 32.
    `trust`: files are read in this process, without limits of time and memory (docs/security.md).
    """
    data = ann_data(calibrate)
    data = data if steps is None else data.with_steps(steps)
    return load(convert_ann(read_ann(model_path(model)), data, percentile))


@vouching
def accuracy_curve(
    model: str | Path,
    calibrate: Any,
    data: Any = None,
    *,
    steps: Sequence[int] = STEPS,
    samples: int | None = None,
    percentile: float = PERCENTILE,
    trust: bool = False,
) -> Curve:
    """Accuracy over the number of steps, converted for each; `data` None: that of `calibrate`.

    `trust` as in `convert`.
    """
    fit = ann_data(calibrate)
    test = fit if data is None else _like(ann_data(data), fit)
    ann = read_ann(model_path(model))
    return curve(ann, fit, test.first(samples), steps, _classes, percentile)


def _like(test: AnnData, fit: AnnData) -> AnnData:
    """Real test samples are encoded in the range that the network was balanced for."""
    if fit.arrays.dtype.kind in "ui":
        return test
    return AnnData(test.arrays, fit.encoding)


def _classes(graph: Graph, data: AnnData) -> NDArray[np.int64]:
    steps = discretised(load(graph))
    parts = data.stream(steps.inputs[0]).batches()
    readout = read_out(steps.settings)
    return np.concatenate(
        [classes(run_float(steps, part), steps.outputs, readout) for part in parts]
    )
