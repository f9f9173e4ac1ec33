"""Samples of every kind as spikes for a network, and what the float network makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, cast

from snnstack.errors import DataError, fail
from snnstack.frontends.data import Data, data_of
from snnstack.frontends.in_memory import given
from snnstack.frontends.levels import KEY, as_counts
from snnstack.frontends.open_data import open_data
from snnstack.frontends.shapes import fits
from snnstack.frontends.stream import Stream, of_data
from snnstack.ir.graph import Graph
from snnstack.ir.step import StepGraph, StepInput
from snnstack.report.blocks import say_blocks
from snnstack.report.readout import output_probes, read_out
from snnstack.trace import Spikes, Trace

Samples = str | PathLike[str] | Data | Stream | Spikes | Mapping[str, Any] | Iterable[Any]
"""Whatever samples can be read from: a file, or any form of `snnstack.frontends.in_memory`."""
CALIBRATION_SAMPLES = 128
"""Samples of the calibration data that are used; more changes no scale."""
JUDGING_SAMPLES = 512
"""Samples that `quality="best"` judges by: a choice among many needs more than scales do."""


def as_data(data: Samples, port: StepInput) -> Data:
    """Samples for `port`, all of them in memory: of whatever `as_stream` takes."""
    data = given(data)
    if isinstance(data, Data):
        return fitting(data, port)
    return as_stream(data, port).read()


def as_stream(data: Samples, port: StepInput) -> Stream:
    """Samples for `port`, batch by batch: from a `DATA` text or path (docs/data.md), from arrays
    in memory, or as they are.
    """
    data = given(data)
    if isinstance(data, Stream):
        return data
    if isinstance(data, Data):
        return of_data(fitting(data, port), port)
    if isinstance(data, Mapping):
        return of_data(data_of(data, port, "data"), port)
    return open_data(str(data), port)


def fitting(data: Data, port: StepInput) -> Data:
    """`data` if its steps fit `port`, axis by axis; else DataError."""
    shape, most = data.spikes.shape, 1 if data.spikes.counts is None else data.spikes.counts.max()
    if port.events == "value":
        data, most = replace(data, spikes=data.spikes.valued()), 1
    elif data.spikes.values is not None:
        what = f"carries values, input {port.name!r} is {port.events!r}"
        raise fail(DataError, data.name, what, "compile with --events value")
    if not fits(shape, port.shape):
        what = f"has the shape {list(shape)}, input {port.name!r} needs {list(port.shape)}"
        raise fail(DataError, data.name, what)
    if most > port.max_count:
        what = f"has {most} spikes of an element in a step, input {port.name!r} is {port.events!r}"
        raise fail(DataError, data.name, what, "compile with --events count")
    return data


def judged_stream(data: Samples, steps: StepGraph, samples: int | None = None) -> Stream:
    """The first `samples` for the network `steps`; DataError for labels beyond its outputs."""
    stream = as_stream(data, steps.port).first(samples).within(_classes(steps))
    if not isinstance(data, Stream):  # a stream comes from a verb that has judged it already
        neurons = steps.population(steps.outputs[0]).n
        say_blocks(steps.settings, stream.labels, neurons, stream.name)
    return stream


def _classes(steps: StepGraph) -> int:
    return read_out(steps.settings).count(steps.population(steps.outputs[0]).n)


def real_as_spikes(graph: Graph, steps: StepGraph, data: Samples | None) -> Samples | None:
    """`data`; real samples become the spikes or counts that the graph was made for."""
    data = None if data is None else given(data)
    if data is not None and KEY in graph.metadata:
        return cast(Samples, as_counts(graph, data))
    if data is None or "encoding" not in graph.metadata:
        return data
    from snnstack.frontends.onnx_convert import spiking

    return cast(Samples, spiking(graph, data, steps.port))


def run_float(steps: StepGraph, data: Data) -> Trace:
    """The float network on all of `data`, with the membranes that its read-out needs."""
    from snnstack.engine.steps import run_step_graph

    fires = {p.name: p.fires for p in steps.populations}
    probes = output_probes(steps.outputs, fires, read_out(steps.settings))
    return run_step_graph(steps, data.spikes, probes)


def calibration_run(
    steps: StepGraph, calibrate: Samples | None, samples: int = CALIBRATION_SAMPLES
) -> tuple[Data, Trace] | None:
    """The `samples` that scales are fitted to, and what the float network does with them."""
    if calibrate is None or not steps.inputs:
        return None
    data = judged_stream(calibrate, steps, samples).read()
    return data, run_float(steps, data)
