"""From a model to a program: load, check, discretise, calibrate, quantise, compile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snnstack.board import Board, load_board
from snnstack.errors import ModelError, TargetError, fail
from snnstack.files import write_directory
from snnstack.frontends.data import Data, make_data, read_data
from snnstack.ir.graph import Graph
from snnstack.ir.step import Conv, Dense, Pool, Projection, Sparse, StepGraph, StepInput
from snnstack.passes.options import Options, apply_options
from snnstack.program import MANIFEST, Program, read_directory
from snnstack.quant.calibration import measured
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.numerics import Numerics
from snnstack.quant.quantise import quantise
from snnstack.quant.scales import Granularity
from snnstack.report.conversion import Conversion, conversion
from snnstack.report.readout import output_probes
from snnstack.serial import from_files, to_files
from snnstack.target import backend, compiler, emulator
from snnstack.trace import Trace

NETWORK = "network"
CONVERSION = "conversion.json"
NETWORK_KINDS = (
    QuantizedNetwork,
    QuantizedPopulation,
    Projection,
    Dense,
    Sparse,
    Conv,
    Pool,
    StepInput,
    Numerics,
)
CALIBRATION_SAMPLES = 128
"""Samples of the calibration data that are used; more changes no scale."""


@dataclass(frozen=True, eq=False)
class Build:
    """Everything on the way from a model to one board."""

    graph: Graph
    steps: StepGraph
    network: QuantizedNetwork
    program: Program
    conversion: Conversion | None


def load(model: str | Path | Graph, options: Options | None = None) -> Graph:
    """The network in a `.nir` file, with `options` applied and every rule checked.

    Raises ModelError with all problems, each naming its node.
    """
    from snnstack.ir.check import check
    from snnstack.passes.inline_subgraphs import inline_subgraphs

    graph = model if isinstance(model, Graph) else _read(Path(model))
    graph = apply_options(graph, options or Options())
    check(graph)
    return inline_subgraphs(graph)


def _read(path: Path) -> Graph:
    if path.suffix not in (".nir", ".h5", ".hdf5"):
        what = f"unknown kind of model file {path.suffix!r}"
        raise fail(ModelError, str(path), what, "give a .nir file")
    from snnstack.frontends import nir

    graph = nir.read(path)
    return replace(graph, metadata={"name": path.stem, **graph.metadata})


def discretised(graph: Graph) -> StepGraph:
    """The per-step network of a loaded graph, with unit gains: what quantisation starts from."""
    from snnstack.passes.discretise import discretise
    from snnstack.passes.fold_gains import fold_gains
    from snnstack.passes.split_avgpool import split_avgpool

    steps = fold_gains(discretise(split_avgpool(graph)))
    name = str(graph.metadata.get("name", "network"))
    return steps.with_(settings={**steps.settings, "name": name})


def run_float(steps: StepGraph, data: Data) -> Trace:
    """The float network on all of `data`, with the membranes of outputs that do not fire."""
    from snnstack.engine.steps import run_step_graph

    fires = {p.name: p.threshold is not None for p in steps.populations}
    return run_step_graph(steps, data.spikes, output_probes(steps.outputs, fires))


def as_data(data: str | Path | Data | Mapping[str, Any], port: StepInput) -> Data:
    """Samples for `port` from a path, from arrays {"x": ..., "y": ...}, or as they are."""
    if isinstance(data, Data):
        return data
    if isinstance(data, Mapping):
        return make_data(data["x"], data.get("y"), port, "data")
    return read_data(Path(data), port)


def build(
    model: str | Path | Graph,
    board: str | Board,
    calibrate: str | Path | Data | Mapping[str, Any] | None = None,
    options: Options | None = None,
    granularity: Granularity = "neuron",
) -> Build:
    """The program of `model` on `board`; with `calibrate`, scales fitted to it and a report."""
    board = load_board(board) if isinstance(board, str) else board
    graph = load(model, options)
    return build_steps(graph, discretised(graph), board, calibrate, granularity)


def build_steps(
    graph: Graph,
    steps: StepGraph,
    board: Board,
    calibrate: str | Path | Data | Mapping[str, Any] | None = None,
    granularity: Granularity = "neuron",
) -> Build:
    """`build` from a graph that is loaded and discretised already."""
    numerics = backend(board.target).NUMERICS
    if calibrate is None or len(steps.inputs) != 1:
        network = quantise(steps, numerics, None, granularity)
        return Build(graph, steps, network, compiler(board.target).compile(network, board), None)
    data = as_data(calibrate, steps.inputs[0]).first(CALIBRATION_SAMPLES)
    trace = run_float(steps, data)
    activity = measured(steps, data.spikes, trace)
    network = quantise(steps, numerics, activity, granularity)
    program = compiler(board.target).compile(network, board)
    return Build(graph, steps, network, program, _explain(steps, network, program, data, trace))


def _explain(
    steps: StepGraph, network: QuantizedNetwork, program: Program, data: Data, trace: Trace
) -> Conversion:
    from snnstack.engine.steps import run_step_graph

    probes = output_probes(program.outputs, program.fires)
    emulated = emulator(program.target).emulate(program, data.spikes, probes=probes)
    return conversion(steps, network, data, trace, emulated, run_step_graph)


def save(built: Build, path: str | Path) -> None:
    """Write program, integer network and conversion report to the new directory `path`."""
    files = backend(built.program.target).emit(built.program)
    files |= to_files(built.network, NETWORK)
    if built.conversion is not None:
        text = json.dumps(built.conversion.to_dict(), indent=2)
        files[CONVERSION] = f"{text}\n".encode()
    write_directory(files, Path(path))


def open_program(path: str | Path) -> tuple[Program, QuantizedNetwork | None]:
    """The program in a directory made by `save`, and its integer network if it is there."""
    files = read_directory(Path(path))
    try:
        target = json.loads(files[MANIFEST])["target"]
    except (ValueError, KeyError, TypeError) as error:
        where = str(Path(path) / MANIFEST)
        hint = "compile the model again"
        raise fail(TargetError, where, "is not a program's manifest", hint) from error
    program = backend(str(target)).load(files)
    if f"{NETWORK}.json" not in files:
        return program, None
    return program, from_files(files, NETWORK, NETWORK_KINDS)
