"""From a model to a program: load, check, discretise, calibrate, quantise, compile."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from snnstack.board import Board, load_board
from snnstack.errors import (
    ModelError,
    Problem,
    SnnstackError,
    TargetError,
    fail,
    raise_if_any,
)
from snnstack.files import write_directory
from snnstack.frontends.data import Data, make_data
from snnstack.frontends.levels import KEY, as_counts
from snnstack.frontends.open_data import open_data
from snnstack.frontends.stream import Stream, of_data
from snnstack.ir.graph import Graph
from snnstack.ir.step import StepGraph, StepInput
from snnstack.native import native_graph, native_program, native_target
from snnstack.passes.options import Options, apply_options
from snnstack.program import MANIFEST, Program, digest, read_directory
from snnstack.quant.calibration import Calibration, measured
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.numerics import Numerics
from snnstack.quant.quantise import quantise
from snnstack.quant.reset_now import reset_now
from snnstack.quant.scales import Granularity
from snnstack.refine import Quantise, refined
from snnstack.report.conversion import Conversion, conversion
from snnstack.report.readout import aligned, output_probes
from snnstack.serial import from_files, to_files
from snnstack.simple import NETWORK_KINDS
from snnstack.target import backend, compiler, emulator, target_names
from snnstack.trace import Trace

Samples = str | Path | Data | Stream | Mapping[str, Any]
"""Whatever samples can be read from."""
_Made = TypeVar("_Made")
NETWORK = "network"
CONVERSION = "conversion.json"
Quality = Literal["fast", "best"]
"""How hard the quantiser tries: see docs/quantisation.md."""
CHOICES = ("reset", "reset_time", "compare", "events")
RESETS_IN_WORDS = {
    ("subtract", "next"): "subtracts its threshold in the step after a spike",
    ("subtract", "recheck"): "fires again only above twice its threshold after a subtraction",
    ("none", "now"): "is not reset by a spike",
}
CALIBRATION_SAMPLES = 128
"""Samples of the calibration data that are used; more changes no scale."""


@dataclass(frozen=True, eq=False)
class Build:
    """Everything on the way from a model to one board.

    `network` is None for a model in the target's own units, where nothing is quantised; `graph`
    and `steps` then are None if no graph can say what it computes.
    """

    graph: Graph | None
    steps: StepGraph | None
    network: QuantizedNetwork | None
    program: Program
    conversion: Conversion | None


def load(
    model: str | Path | Graph,
    options: Options | None = None,
    *,
    calibrate: Samples | None = None,
    sample: Any = None,
) -> Graph:
    """The network in a model file, with `options` applied and every rule checked.

    An ANN in ONNX is converted; its thresholds are balanced on `calibrate`, real samples that
    the ANN takes. A spiking step in ONNX is compared with onnxruntime on `sample`, [step, sample,
    ...], else on random spikes. Raises ModelError with all problems, each naming its node.
    """
    from snnstack.ir.check import check
    from snnstack.passes.inline_subgraphs import inline_subgraphs

    if hasattr(model, "named_modules"):
        hint = "load it first: graph = snnstack.load(module, sample)"
        raise fail(ModelError, type(model).__name__, "is a torch module, not a model file", hint)
    if isinstance(model, Graph):
        graph = model
    else:
        graph = _read(Path(model), options or Options(), calibrate, sample)
    graph = apply_options(graph, options or Options())
    check(graph)
    return inline_subgraphs(graph)


def _read(path: Path, options: Options, calibrate: Samples | None, sample: Any = None) -> Graph:
    target = native_target(path)
    if target is not None:
        return native_graph(path, target, options)
    if path.suffix == ".onnx":
        from snnstack.frontends import onnx

        found = onnx.read(path, options, calibrate)
        return found if isinstance(found, Graph) else _proved(found, sample)
    if path.is_file() and path.suffix not in (".nir", ".h5", ".hdf5"):
        what = f"unknown kind of model file {path.suffix!r}"
        raise fail(ModelError, str(path), what, "give a .nir or .onnx file")
    from snnstack.frontends import nir

    graph = nir.read(path)
    return replace(graph, metadata={"name": path.stem, **graph.metadata})


def _proved(file: Any, sample: Any) -> Graph:
    from snnstack.agreement import proved
    from snnstack.ir.check import check

    check(file.graph)
    return proved(file, discretised(file.graph), sample)


def discretised(graph: Graph, unit_gains: bool = True) -> StepGraph:
    """The per-step network of a loaded graph, with unit gains: what quantisation starts from.

    `unit_gains` False: weights and gains as in the model, for a target's rules of import.
    """
    from snnstack.passes.discretise import discretise
    from snnstack.passes.fold_gains import fold_gains
    from snnstack.passes.prune import KEY as PRUNED
    from snnstack.passes.prune import as_lists
    from snnstack.passes.split_avgpool import split_avgpool

    steps = discretise(split_avgpool(graph))
    steps = fold_gains(steps) if unit_gains else steps
    steps = as_lists(steps) if PRUNED in graph.metadata else steps
    name = str(graph.metadata.get("name", "network"))
    more = {KEY: dict(graph.metadata[KEY])} if KEY in graph.metadata else {}
    return steps.with_(settings={**steps.settings, **_choices(graph), **more, "name": name})


def _choices(graph: Graph) -> dict[str, str]:
    """Reset, comparison and input events as the nodes have them; several are joined by commas."""
    nodes = graph.nodes.values()
    found = {k: {str(getattr(n, k)) for n in nodes if hasattr(n, k)} for k in CHOICES}
    return {name: ", ".join(sorted(values)) for name, values in found.items() if values}


def run_float(steps: StepGraph, data: Data) -> Trace:
    """The float network on all of `data`, with the membranes of outputs that do not fire."""
    from snnstack.engine.steps import run_step_graph

    fires = {p.name: p.threshold is not None for p in steps.populations}
    return run_step_graph(steps, data.spikes, output_probes(steps.outputs, fires))


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


def build(
    model: str | Path | Graph,
    board: str | Board,
    calibrate: Samples | None = None,
    options: Options | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
) -> Build:
    """The program of `model` on `board`; with `calibrate`, scales fitted to it and a report."""
    board = load_board(board) if isinstance(board, str) else board
    fixed = {"calibrate": calibrate, "weight-bits": weight_bits}
    program = native_program(model, board, options, fixed)
    if program is not None:
        return Build(*loaded(model, options, needed=False), None, program, None)
    graph = load(model, options, calibrate=calibrate)
    return build_steps(
        graph, discretised(graph), board, calibrate, granularity, weight_bits, quality
    )


def loaded(
    model: str | Path | Graph,
    options: Options | None,
    needed: bool,
    calibrate: Samples | None = None,
) -> tuple[Graph | None, StepGraph | None]:
    """The graph of `model` and its steps; (None, None) if it can be none and none is needed."""
    try:
        graph = load(model, options, calibrate=calibrate)
    except ModelError:
        if needed or native_target(model) is None:
            raise
        return None, None
    return graph, discretised(graph)


def build_steps(
    graph: Graph,
    steps: StepGraph,
    board: Board,
    calibrate: Samples | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
) -> Build:
    """`build` from a graph that is loaded and discretised already."""
    return build_all(graph, steps, [board], calibrate, granularity, weight_bits, quality)[0]


def build_all(
    graph: Graph,
    steps: StepGraph,
    boards: Sequence[Board],
    calibrate: Samples | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
) -> list[Build]:
    """`build` for several boards: those with the same numbers are quantised and explained once.

    `weight_bits` None: the width the target has of its own accord. Raises one error with the
    problems of all boards that cannot take the network.
    """
    found = build_each(graph, steps, boards, calibrate, granularity, weight_bits, quality)
    raise_refused(one for one in found if isinstance(one, Refused))
    return [one for one in found if isinstance(one, Build)]


@dataclass(frozen=True)
class Refused:
    """A board that cannot take the network, and why."""

    board: Board
    error: SnnstackError


def raise_refused(refused: Iterable[Refused]) -> None:
    """All problems as one error; CapacityError if every one of them is; else nothing."""
    errors = [one.error for one in refused]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else TargetError
    raise_if_any(kind, dict.fromkeys(p for error in errors for p in error.problems))


def build_each(
    graph: Graph,
    steps: StepGraph,
    boards: Sequence[Board],
    calibrate: Samples | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
) -> list[Build | Refused]:
    """As `build_all`, but a board that cannot take the network is an entry of its own."""
    run = _calibration(steps, real_as_spikes(graph, steps, calibrate))
    activity = None if run is None else measured(steps, run[0].spikes, run[1])
    source = discretised(graph, unit_gains=False) if granularity == "import" else steps
    networks: dict[str, QuantizedNetwork | SnnstackError] = {}
    reports: dict[str, Conversion | None] = {}

    def one(board: Board) -> Build:
        key = _numbers(board)
        if key not in networks:

            def quantised(
                given: StepGraph, like: QuantizedNetwork | None = None
            ) -> QuantizedNetwork:
                return quantise_for(given, board, activity, granularity, weight_bits, like)

            networks[key] = _or_error(lambda: _chosen(source, board, run, quality, quantised))
        network = networks[key]
        if isinstance(network, SnnstackError):
            raise network
        program = _calibrated(steps, compiler(board.target).compile(network, board), run)
        return Build(graph, steps, network, program, None)

    def explained(built: Build | SnnstackError, board: Board) -> Build | Refused:
        if isinstance(built, SnnstackError):
            return Refused(board, built)
        key = _numbers(board)
        if key not in reports and built.network is not None:
            reports[key] = _explain(steps, built.network, built.program, run)
        return replace(built, conversion=reports.get(key))

    found = [_or_error(lambda board=board: one(board)) for board in boards]  # type: ignore[misc]
    return [explained(built, board) for built, board in zip(found, boards, strict=True)]


def _or_error(make: Callable[[], _Made]) -> _Made | SnnstackError:
    try:
        return make()
    except SnnstackError as error:
        return error


def _numbers(board: Board) -> str:
    """Boards with the same answer share an integer network: those of the general quantiser."""
    own = hasattr(backend(board.target), "quantise")
    return f"{board.target}/{board.name}" if own else board.target


def _calibrated(steps: StepGraph, program: Program, run: tuple[Data, Trace] | None) -> Program:
    """`program` with what its compiler fits to the spikes of every source, if there is such."""
    own = getattr(compiler(program.target), "calibrate", None)
    if own is None or run is None:
        return program
    sources = {steps.inputs[0].name: run[0].spikes, **run[1].spikes}
    return cast(Program, own(program, sources))


def _calibration(steps: StepGraph, calibrate: Samples | None) -> tuple[Data, Trace] | None:
    """The samples that scales are fitted to, and what the float network does with them."""
    if calibrate is None or len(steps.inputs) != 1:
        return None
    data = as_stream(calibrate, steps.inputs[0]).first(CALIBRATION_SAMPLES).read()
    return data, run_float(steps, data)


def _chosen(
    steps: StepGraph,
    board: Board,
    run: tuple[Data, Trace] | None,
    quality: Quality,
    quantised: Quantise,
) -> QuantizedNetwork:
    """The integers, quickly or the best that can be found; the latter needs data."""
    if quality == "fast":
        return quantised(steps, None)
    if run is None:
        hint = "--calibrate DATA names some"
        raise fail(TargetError, "--quality best", "needs samples to judge by", hint)
    return refined(steps, board, *run, quantised)


def quantise_for(
    steps: StepGraph,
    board: Board,
    calibration: Calibration | None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    like: QuantizedNetwork | None = None,
) -> QuantizedNetwork:
    """The integer network for a board: by its target's own quantiser, or the general one.

    `like`: with the scales of this network, where the quantiser can (for training).
    """
    machine, steps = backend(board.target), reset_now(steps)
    if not getattr(machine, "LATE_RESETS", False):
        raise_if_any(ModelError, _late_resets(steps, board.target))
    raise_if_any(ModelError, _real_inputs(steps))
    own = getattr(machine, "quantise", None)
    if granularity == "import" and not getattr(machine, "IMPORT_RULES", False):
        what = "has no importer of its own whose rules could be followed"
        raise fail(TargetError, board.target, what, "use --granularity neuron or population")
    if own is not None:
        more: dict[str, Any] = dict(_width_option(own, board.target, weight_bits))
        if like is not None and "like" in inspect.signature(own).parameters:
            more["like"] = like
        found = own(steps, board, calibration, granularity, **more)
        assert isinstance(found, QuantizedNetwork)
        return found
    return quantise(steps, numerics_of(board.target, weight_bits), calibration, granularity, like)


def _width_option(own: Any, target: str, weight_bits: int | None) -> dict[str, int]:
    """The keyword for a target's own quantiser; TargetError if it knows no other width."""
    known = "weight_bits" in inspect.signature(own).parameters
    if weight_bits is None or (not known and weight_bits == backend(target).NUMERICS.weight_bits):
        return {}
    if not known:
        raise _no_such_width(target, weight_bits)
    return {"weight_bits": weight_bits}


def _no_such_width(target: str, weight_bits: int) -> SnnstackError:
    what = f"weights of {weight_bits} bits, it has {backend(target).NUMERICS.weight_bits}"
    return fail(TargetError, target, what, "leave the width out")


def numerics_of(target: str, weight_bits: int | None = None) -> Numerics:
    """The target's numbers, with weights of `weight_bits`; TargetError if it has no such."""
    machine = backend(target)
    choose = getattr(machine, "numerics", None)
    if weight_bits is None or (choose is None and weight_bits == machine.NUMERICS.weight_bits):
        return machine.NUMERICS
    if choose is None:
        raise _no_such_width(target, weight_bits)
    found = choose(weight_bits)
    assert isinstance(found, Numerics)
    return found


def _real_inputs(steps: StepGraph) -> Iterator[Problem]:
    """Inputs that no target takes."""
    for port in steps.inputs:
        if port.events == "real":
            hint = "load the module with levels=..., which turns them into counts"
            yield Problem(port.name, "carries real numbers, targets take spikes or counts", hint)


def _late_resets(steps: StepGraph, target: str) -> Iterator[Problem]:
    """Populations whose reset the target cannot do: for targets that do not say LATE_RESETS."""
    for p in steps.populations:
        if p.threshold is None or (p.reset_time == "now" and p.reset != "none"):
            continue
        what = f"{RESETS_IN_WORDS[p.reset, p.reset_time]}, which {target} cannot do"
        hint = "reset='subtract' (--reset subtract) subtracts at once; compare the accuracy then"
        yield Problem(p.name, what, hint)


def _explain(
    steps: StepGraph,
    network: QuantizedNetwork,
    program: Program,
    run: tuple[Data, Trace] | None,
) -> Conversion | None:
    from snnstack.engine.steps import run_step_graph

    if run is None:
        return None
    probes = output_probes(program.outputs, program.fires)
    spikes = run[0].spikes
    emulated = emulator(program.target).emulate(program, spikes, probes=probes)
    return conversion(steps, network, *run, aligned(emulated, spikes.steps), run_step_graph)


def with_measured_memory(built: Build) -> Build:
    """The same with the memory that the target's own tools make of it, where they are there."""
    measure = getattr(backend(built.program.target), "measured", None)
    return built if measure is None else replace(built, program=measure(built.program))


def save(built: Build, path: str | Path) -> None:
    """Write program, integer network and conversion report to the new directory `path`."""
    write_directory(program_files(built), Path(path))


def save_all(built: Mapping[str, Build], path: str | Path) -> None:
    """`save` into one new directory, each under its name: all of them, or nothing at all."""
    files = {
        f"{name}/{file}": content
        for name, one in built.items()
        for file, content in program_files(one).items()
    }
    write_directory(files, Path(path))


def program_files(built: Build) -> dict[str, bytes]:
    """What `save` writes: {relative path: content}; the manifest has the digest of every file."""
    files = backend(built.program.target).emit(built.program)
    if built.network is not None:
        files |= to_files(built.network, NETWORK)
    if built.conversion is not None:
        text = json.dumps(built.conversion.to_dict(), indent=2)
        files[CONVERSION] = f"{text}\n".encode()
    manifest = json.loads(files.pop(MANIFEST))
    manifest["files"] = {name: digest({name: content}) for name, content in files.items()}
    text = json.dumps(manifest, indent=2, sort_keys=True)
    return files | {MANIFEST: f"{text}\n".encode()}


def open_program(path: str | Path) -> tuple[Program, QuantizedNetwork | None]:
    """The program in a directory made by `save`, and its integer network if it is there.

    Raises TargetError for a file that is missing, malformed or not as it was saved: what is
    loaded is what stands in the directory, C text included. Files that were added do not matter.
    """
    files = read_directory(Path(path))
    target, digests = _manifest(files[MANIFEST], str(Path(path) / MANIFEST))
    raise_if_any(TargetError, _changed(files, digests, Path(path)))
    kept = {name: files[name] for name in (*digests, MANIFEST)}
    program = backend(target).load(kept)
    if f"{NETWORK}.json" not in kept:
        return program, None
    return program, from_files(kept, NETWORK, NETWORK_KINDS)


def saved_conversion(path: str | Path) -> dict[str, Any] | None:
    """The conversion report in a program's directory, as plain data; None if there is none."""
    content = read_directory(Path(path)).get(CONVERSION)
    return None if content is None else dict(json.loads(content))


def _manifest(content: bytes, where: str) -> tuple[str, dict[str, str]]:
    """The target, and the digest of every file."""
    again = "compile the model again"
    try:
        manifest = json.loads(content)
        target, digests = str(manifest["target"]), dict(manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise fail(TargetError, where, "is not a program's manifest", again) from error
    if target not in target_names():
        hint = f"installed: {', '.join(target_names())}"
        raise fail(TargetError, where, f"target {target!r} is not installed", hint)
    return target, digests


def _changed(
    files: Mapping[str, bytes], digests: Mapping[str, str], path: Path
) -> Iterator[Problem]:
    for name, known in digests.items():
        if name not in files:
            yield Problem(str(path / name), "is missing", "compile the model again")
        elif digest({name: files[name]}) != known:
            what = "is not as `snnstack compile` wrote it"
            yield Problem(str(path / name), what, "compile the model again")
