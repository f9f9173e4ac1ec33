"""Samples of every kind as spikes for a network, and what the float network makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from snnstack.frontends.data import Data, make_data
from snnstack.frontends.levels import KEY, as_counts
from snnstack.frontends.open_data import open_data
from snnstack.frontends.stream import Stream, of_data
from snnstack.ir.graph import Graph
from snnstack.ir.step import StepGraph, StepInput
from snnstack.report.readout import output_probes
from snnstack.trace import Trace

Samples = str | Path | Data | Stream | Mapping[str, Any]
"""Whatever samples can be read from."""
CALIBRATION_SAMPLES = 128
"""Samples of the calibration data that are used; more changes no scale."""
JUDGING_SAMPLES = 512
"""Samples that `quality="best"` judges by: a choice among many needs more than scales do."""


def as_data(data: Samples, port: StepInput) -> Data:
    """Samples for `port`, all of them in memory: of whatever `as_stream` takes."""
    if isinstance(data, Data):
        return data
    return as_stream(data, port).read()


def as_stream(data: Samples, port: StepInput) -> Stream:
    """Samples for `port`, batch by batch: from a `DATA` text or path (docs/data.md), from
    arrays {"x": ..., "y": ...}, or as they are.
    """
    if isinstance(data, Stream):
        return data
    if isinstance(data, Data):
        return of_data(data, port)
    if isinstance(data, Mapping):
        return of_data(make_data(data.get("x"), data.get("y"), port, "data"), port)
    return open_data(data, port)


def real_as_spikes(graph: Graph, steps: StepGraph, data: Samples | None) -> Samples | None:
    """`data`; real samples become the spikes or counts that the graph was made for."""
    if data is not None and KEY in graph.metadata:
        return cast(Samples, as_counts(graph, data))
    if data is None or "encoding" not in graph.metadata:
        return data
    from snnstack.frontends.onnx_convert import spiking

    return cast(Samples, spiking(graph, data, steps.inputs[0]))


def run_float(steps: StepGraph, data: Data) -> Trace:
    """The float network on all of `data`, with the membranes of outputs that do not fire."""
    from snnstack.engine.steps import run_step_graph

    fires = {p.name: p.threshold is not None for p in steps.populations}
    return run_step_graph(steps, data.spikes, output_probes(steps.outputs, fires))


def calibration_run(
    steps: StepGraph, calibrate: Samples | None, samples: int = CALIBRATION_SAMPLES
) -> tuple[Data, Trace] | None:
    """The `samples` that scales are fitted to, and what the float network does with them."""
    if calibrate is None or len(steps.inputs) != 1:
        return None
    data = as_stream(calibrate, steps.inputs[0]).first(samples).read()
    return data, run_float(steps, data)
