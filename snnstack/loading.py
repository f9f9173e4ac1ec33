"""From a model file to a checked graph and its network per time step."""

from __future__ import annotations

import logging
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.door import path, shown
from snnstack.errors import DataError, ModelError, Problem, fail, raise_if_any
from snnstack.frontends.levels import KEY
from snnstack.frontends.torch_door import is_module
from snnstack.ir.finite import check_steps
from snnstack.ir.graph import Graph
from snnstack.ir.learning import check_learning
from snnstack.ir.step import StepGraph
from snnstack.native import native_graph, native_target
from snnstack.passes.options import READOUT, Options, apply_options, said
from snnstack.program import INPUTS
from snnstack.report.linear import FIT, fit
from snnstack.report.readout import LINEAR, check_readout, read_out, usual_scores
from snnstack.samples import Samples, as_stream, real_as_spikes, run_float

log = logging.getLogger("snnstack")
PROOF_SAMPLES = 32
"""Samples of a file that an ONNX step is compared on."""
TAKEN = "give a file (.nir, .onnx, .net), a Graph, a nir.NIRGraph, or a torch module and a sample"
CHOICES = ("reset", "reset_time", "compare", "events")
"""What a graph's nodes have chosen; `discretised` keeps it in the settings."""


def load(
    model: Any,
    options: Options | None = None,
    *,
    calibrate: Samples | None = None,
    sample: Any = None,
    tell: bool = True,
    training: bool = True,
) -> Graph:
    """The network in a model, with `options` applied and every rule checked.

    A model is a file, a `nir.NIRGraph`, or a graph that was read before. An ANN in ONNX is
    converted; its thresholds are balanced on `calibrate`, real samples that the ANN takes. A
    spiking step in ONNX is compared with onnxruntime on `sample`, [step, sample, ...] or samples
    by name (docs/data.md; the first ones), else on random spikes; other files take none.

    A linear read-out that is not fitted yet is, to the labels of `calibrate`, unless these are no
    `training` samples.

    What was guessed about a file of another tool, and what such files leave out, is kept in
    `metadata["notes"]` and, with `tell`, logged as warnings. Raises ModelError with all problems,
    each naming its node.
    """
    graph = _checked(model, said(options) or Options(), calibrate, sample)
    graph = with_fit(graph, calibrate if training else None)
    for note in graph.metadata.get("notes", ()) if tell else ():
        log.warning("%s: %s", graph.metadata.get("name", "model"), note)
    return graph


def _checked(model: Any, options: Options, calibrate: Samples | None, sample: Any) -> Graph:
    from snnstack.ir.check import check
    from snnstack.passes.as_written import as_meant, as_written, with_lags
    from snnstack.passes.inline_subgraphs import inline_subgraphs

    if is_module(model):
        hint = "load it first: graph = snnstack.load(module, sample)"
        raise fail(ModelError, type(model).__name__, "is a torch module, not a model file", hint)
    graph = _graph(model, options, calibrate, sample)
    writer = options.written_by
    of_another_tool = graph.dt is None and (writer is not None or _is_nir(model))
    with np.errstate(all="ignore"):  # numbers that lead nowhere are refused by the rules, by name
        graph = as_meant(graph, options) if of_another_tool else graph
        graph = apply_options(graph, options)
        graph = as_written(graph, writer) if of_another_tool else graph
    check(graph)
    graph = inline_subgraphs(graph)
    return with_lags(graph, writer) if of_another_tool else graph


def _graph(model: Any, options: Options, calibrate: Samples | None, sample: Any) -> Graph:
    """The graph of a model as it stands there."""
    if not isinstance(model, Graph) and not _is_nir_graph(model):
        return _read(model_path(model), options, calibrate, sample)
    raise_if_any(ModelError, _needless(sample, "the graph"))
    if isinstance(model, Graph):
        return model
    from snnstack.frontends.nir import from_nir

    return from_nir(model)


def _is_nir(model: Any) -> bool:
    """Whether a model is NIR as other tools hand it over: a file, or a `nir.NIRGraph`."""
    if isinstance(model, str | PathLike):
        path = Path(model)
        return path.suffix != ".onnx" and native_target(path) is None
    return _is_nir_graph(model)


def _is_nir_graph(model: Any) -> bool:
    """Whether `model` is a graph of the package nir, which is not imported to find out."""
    return any(k.__module__.partition(".")[0] == "nir" for k in type(model).__mro__)


def model_path(model: Any) -> Path:
    """The file of a model; ModelError, saying what is taken, for anything that is none."""
    if not isinstance(model, str | PathLike):
        what = f"is {type(model).__name__} {shown(model)}"
        raise fail(ModelError, "model", what, TAKEN)
    return path(model, "model", ModelError)


def _read(file: Path, options: Options, calibrate: Samples | None, sample: Any = None) -> Graph:
    target = native_target(file)
    if target is not None:
        raise_if_any(ModelError, _needless(sample, str(file)))
        return native_graph(file, target, options)
    if file.suffix == ".onnx":
        from snnstack.frontends import onnx

        found = onnx.read(file, options, calibrate)
        if not isinstance(found, Graph):
            return _proved(found, sample)
        raise_if_any(ModelError, _needless(sample, str(file)))
        return found
    raise_if_any(ModelError, _needless(sample, str(file)))
    if file.is_file() and file.suffix not in (".nir", ".h5", ".hdf5"):
        what = f"unknown kind of model file {file.suffix!r}"
        raise fail(ModelError, str(file), what, "give a .nir or .onnx file")
    from snnstack.frontends import nir

    graph = nir.read(file)
    return replace(graph, metadata={"name": file.stem, **graph.metadata})


def _needless(sample: Any, where: str) -> list[Problem]:
    if sample is None:
        return []
    hint = "leave out --sample (sample=): one step of a spiking network in ONNX is compared on it"
    return [Problem(where, "is not run by another framework on a sample", hint)]


def _proved(file: Any, sample: Any) -> Graph:
    from snnstack.agreement import proved
    from snnstack.ir.check import check

    check(file.graph)
    steps = discretised(file.graph)
    if isinstance(sample, str | Path):
        given = as_stream(sample, steps.port).first(PROOF_SAMPLES).read().spikes
        sample = np.moveaxis(given.dense(), 1, 0)
    return proved(file, steps, sample)


def loaded(
    model: str | Path | Graph,
    options: Options | None,
    needed: bool,
    calibrate: Samples | None = None,
    training: bool = True,
) -> tuple[Graph | None, StepGraph | None]:
    """The graph of `model` and its steps; (None, None) if it can be none and none is needed."""
    try:
        graph = load(model, options, calibrate=calibrate, training=training)
    except ModelError:
        if needed or native_target(model) is None:
            raise
        return None, None
    return graph, discretised(graph)


def before_pruning(
    model: Any, options: Options | None, calibrate: Samples | None, pruned: Graph | None
) -> StepGraph | None:
    """The float network that `options` prune to `pruned`, read out like it; None where they prune
    nothing.
    """
    if options is None or options.prune is None:
        return None
    whole = load(
        model, replace(options, prune=None), calibrate=calibrate, tell=False, training=False
    )
    kept = {} if pruned is None else {k: v for k, v in pruned.metadata.items() if k == FIT}
    return discretised(whole.with_(metadata={**whole.metadata, **kept}))


def with_fit(graph: Graph, training: Samples | None) -> Graph:
    """`graph` with its linear read-out fitted to the float network's run of `training`, where it
    has one that is not; DataError where these samples have no labels.
    """
    if graph.metadata.get(READOUT) != LINEAR or FIT in graph.metadata or training is None:
        return graph
    kept = {name: value for name, value in graph.metadata.items() if name != READOUT}
    steps = discretised(graph.with_(metadata=kept))
    stream = as_stream(real_as_spikes(graph, steps, training) or training, steps.port)
    parts = [(usual_scores(run_float(steps, p), steps.outputs[0]), p.labels)
             for p in stream.batches(stream.batch_size())]  # fmt: skip
    labels = [found for _, found in parts if found is not None]
    if len(labels) < len(parts):
        hint = "a linear read-out is fitted to labelled samples"
        raise fail(DataError, stream.name, "has no labels", hint)
    features = np.concatenate([found for found, _ in parts])
    found = fit(features, np.concatenate(labels), Path(stream.name.partition("?")[0]).name)
    return graph.with_(metadata={**graph.metadata, FIT: str(found)})


def discretised(graph: Graph, unit_gains: bool = True) -> StepGraph:
    """The per-step network of a loaded graph, with unit gains: what quantisation starts from.

    `unit_gains` False: weights and gains as in the model, for a target's rules of import.
    """
    from snnstack.passes.discretise import discretise
    from snnstack.passes.fold_gains import fold_gains
    from snnstack.passes.prune import KEY as PRUNED
    from snnstack.passes.prune import as_lists
    from snnstack.passes.split_avgpool import split_avgpool
    from snnstack.passes.values import with_values

    with np.errstate(over="ignore", invalid="ignore"):  # what is infinite is refused by name
        steps = discretise(split_avgpool(graph))
        check_steps(steps)
        check_learning(steps)
        steps = fold_gains(steps) if unit_gains else steps
        steps = with_values(steps)
    check_steps(steps)
    steps = as_lists(steps) if PRUNED in graph.metadata else steps
    name = str(graph.metadata.get("name", "network"))
    more: dict[str, Any] = {KEY: dict(graph.metadata[KEY])} if KEY in graph.metadata else {}
    more |= {key: graph.metadata[key] for key in (READOUT, FIT) if key in graph.metadata}
    if steps.port.parts:
        more[INPUTS] = [[part.name, list(part.shape)] for part in steps.inputs]
    steps = steps.with_(settings={**steps.settings, **_choices(graph), **more, "name": name})
    output = steps.population(steps.outputs[0])
    check_readout(read_out(steps.settings), output.name, output.n, output.fires)
    return steps


def _choices(graph: Graph) -> dict[str, str]:
    """Reset, comparison and input events as the nodes have them; several are joined by commas."""
    nodes = graph.nodes.values()
    found = {k: {str(getattr(n, k)) for n in nodes if hasattr(n, k)} for k in CHOICES}
    return {name: ", ".join(sorted(values)) for name, values in found.items() if values}
