"""ANN to SNN: the verbs `convert` and `accuracy_curve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.door import instance
from snnstack.foreign import vouching
from snnstack.frontends.onnx_convert import PERCENTILE, AnnData, ann_data, read_ann
from snnstack.frontends.onnx_convert import convert as convert_ann
from snnstack.frontends.sigma_delta import SigmaDelta
from snnstack.ir.graph import Graph
from snnstack.loading import discretised, load, model_path
from snnstack.report.curve import (
    STEPS,
    THRESHOLDS,
    Curve,
    DeltaCurve,
    curve,
    delta_curve,
)
from snnstack.report.readout import classes, read_out
from snnstack.samples import run_float


@vouching
def convert(
    model: str | Path,
    calibrate: Any,
    *,
    steps: int | None = None,
    percentile: float = PERCENTILE,
    sigma_delta: SigmaDelta | None = None,
    trust: bool = False,
) -> Graph:
    """The spiking graph of an ANN in an ONNX file, balanced on real samples.

    `sigma_delta`: layers send changes of their activations instead of spikes, for inputs such as
    the frames of a video; the graph then takes whole numbers 0..255.

    `steps`: of an inference, else what `calibrate` says (`...?encode=even&steps=16`), else 32.
    `trust`: files are read in this process, without limits of time and memory (docs/security.md).
    """
    data, delta = ann_data(calibrate), None
    if sigma_delta is not None:
        delta = instance(sigma_delta, SigmaDelta, "sigma_delta", "SigmaDelta(127, 0)").checked()
        data = data.in_levels()
    data = data if steps is None else data.with_steps(steps)
    return load(convert_ann(read_ann(model_path(model)), data, percentile, delta))


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
    fit, test = _both(calibrate, data, samples)
    return curve(read_ann(model_path(model)), fit, test, steps, _classes, percentile)


@vouching
def threshold_curve(
    model: str | Path,
    calibrate: Any,
    data: Any = None,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    levels: int = 127,
    samples: int | None = None,
    percentile: float = PERCENTILE,
    trust: bool = False,
) -> DeltaCurve:
    """Accuracy and events against the change that is worth sending; else as `accuracy_curve`."""
    kinds = [SigmaDelta(levels, threshold).checked() for threshold in thresholds]
    fit, test = (part.in_levels() for part in _both(calibrate, data, samples))
    return delta_curve(read_ann(model_path(model)), fit, test, kinds, _run, percentile)


def _both(calibrate: Any, data: Any, samples: int | None) -> tuple[AnnData, AnnData]:
    """What a conversion is fitted to, and the first `samples` that it is tried on."""
    fit = ann_data(calibrate)
    test = fit if data is None else _like(ann_data(data), fit)
    return fit, test.first(samples)


def _like(test: AnnData, fit: AnnData) -> AnnData:
    """Real test samples are encoded in the range that the network was balanced for."""
    if fit.arrays.dtype.kind in "ui":
        return test
    return AnnData(test.arrays, fit.encoding)


def _classes(graph: Graph, data: AnnData) -> NDArray[np.int64]:
    return _run(graph, data)[0]


def _run(graph: Graph, data: AnnData) -> tuple[NDArray[np.int64], int]:
    """[sample] classes, and events that layers sent."""
    steps = discretised(load(graph))
    readout, found, events = read_out(steps.settings), [], 0
    for part in data.stream(steps.port).batches():
        trace = run_float(steps, part)
        found.append(classes(trace, steps.outputs, readout))
        events += sum(len(sent.indices) for sent in trace.spikes.values())
    return np.concatenate(found), events
