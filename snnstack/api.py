"""The verbs: load, compile, emulate, verify, bench. The command line calls the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snnstack.board import Board, boards_of
from snnstack.building import (
    Build,
    Quality,
    Refused,
    build,
    build_each,
    check_choices,
    raise_refused,
)
from snnstack.door import instance
from snnstack.errors import (
    CapacityError,
    ModelError,
    fail,
)
from snnstack.foreign import vouching
from snnstack.frontends.in_memory import given
from snnstack.frontends.nir import write as write_nir
from snnstack.frontends.torch_door import check_module, eager, is_module
from snnstack.ir.graph import Graph
from snnstack.ir.step import StepGraph, StepInput
from snnstack.loading import before_pruning, loaded
from snnstack.loading import load as load_file
from snnstack.measure import (
    Ann,
    Choices,
    Subject,
    measure,
    measure_program,
)
from snnstack.native import native_program, native_target
from snnstack.notices import say
from snnstack.passes.options import Options, said
from snnstack.program import Program, port_of
from snnstack.quant.losses import warnings_of
from snnstack.quant.scales import Granularity
from snnstack.report.bench import BenchRefusal, BenchRow
from snnstack.report.readout import read_out
from snnstack.running import (
    carries_values,
    emulate,
    emulate_batches,
    judged_samples,
    verify,
    verify_reference,
)
from snnstack.samples import Samples, as_stream, judged_stream, real_as_spikes
from snnstack.saving import open_program, save, save_all, saved_conversion

VERIFY_SAMPLES = 16
"""Samples that `bench` runs on the independent machine."""

__all__ = [
    "Ann",
    "Build",
    "bench",
    "bench_program",
    "build",
    "carries_values",
    "compile",
    "emulate",
    "emulate_batches",
    "load",
    "open_program",
    "port_of",
    "save",
    "save_all",
    "verify",
    "verify_reference",
    "write_nir",
]


@vouching
def load(
    model: Any,
    sample: Any = None,
    options: Options | None = None,
    *,
    forward: Callable[[Any, Any], Any] | None = None,
    outputs: Sequence[str] | None = None,
    name: str | None = None,
    levels: int | None = None,
    calibrate: Samples | None = None,
    trust: bool = False,
) -> Graph:
    """The network in a model file, or of a torch module that is run on `sample`.

    A module of snnTorch or SpikingJelly is traced, and every spike of the sample is compared
    with the module's own: see `snnstack.live.read_module` for `sample`, `forward`, `outputs` and
    `levels`. An ANN in ONNX is converted, its thresholds balanced on `calibrate`; one step
    of a spiking network is compared with onnxruntime on `sample`, [step, sample, ...]. `options`
    replace what the model says. `trust`: files are read in this process, without limits of time
    and memory (docs/security.md). Raises ModelError with all problems, each naming its node.
    """
    if isinstance(sample, Options):
        sample, options = None, sample
    if not is_module(model):
        return load_file(model, options, calibrate=calibrate, sample=sample)
    check_module(model)
    model = eager(model)
    if sample is None:
        hint = "load(module, sample): what its forward takes, or [step, sample, ...]"
        raise fail(ModelError, type(model).__name__, "is a module without a sample to run", hint)
    from snnstack.live import read_module

    kinds = {"forward": forward, "outputs": outputs, "name": name, "levels": levels}
    return read_module(model, sample, options, **kinds)  # type: ignore[arg-type]


@vouching
def compile(
    model: str | Path | Graph,
    board: str | Board,
    calibrate: Samples | None = None,
    *,
    options: Options | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
    strict: bool = False,
    trust: bool = False,
) -> Program:
    """The program of a model file or graph on a board (by name or as data).

    `strict`: what quantisation loses beyond stated shares is a ModelError; else it is said on
    standard error and is in `program.settings["losses"]` (`snnstack.quant.losses`). `trust` as in
    `load`.
    """
    built = build(
        model, board, calibrate, options, granularity, weight_bits, quality, strict=strict
    )
    for loss in warnings_of(built.program.settings):
        say(loss.where, loss.what, loss.hint)
    return built.program


@vouching
def bench(
    model: str | Path | Graph,
    boards: str | Board | Sequence[str | Board],
    data: Samples,
    *,
    calibrate: Samples | None = None,
    options: Options | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
    strict: bool = False,
    samples: int | None = None,
    verify_samples: int = VERIFY_SAMPLES,
    period_s: float | None = None,
    seeds: int = 0,
    ann: bool | Ann = False,
    figures: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
    keep: Callable[[Build], None] | None = None,
    refused: Callable[[BenchRefusal], None] | None = None,
    trust: bool = False,
) -> list[BenchRow]:
    """One row per board: accuracy, agreement, latency, energy and memory of an inference.

    Accuracy and counts come from the emulator on all `samples`, batch by batch; latency and
    energy from the independent run of the first `verify_samples` (which is compared bit for
    bit) where it counts, else from the emulator. Scales are fitted to `calibrate`, else to the
    samples themselves. `seeds`: chips of an analogue target to draw besides the exact machine.
    `ann`: also measure a network of the same shape without spikes, where the target has one:
    see `Ann`; True: only its cost.
    `strict`: a board that quantisation loses too much for, or one whose drawn chips clip, is
    refused, as one that is too small.
    `keep` is given what was built for each board. `trust` as in `load`.

    Raises one error with the problems of all boards that cannot take the network, before
    anything runs; with `refused`, each of them (and a board whose tools are missing) is handed
    to it instead, and only if none is left that error is raised.
    """
    chosen = boards_of(boards)
    check_choices(granularity, weight_bits, quality)
    options = said(options)
    data, calibrate = given(data), None if calibrate is None else given(calibrate)
    choices = Choices(verify_samples, period_s, seeds, None, figures, strict=strict)
    fit = data if calibrate is None else calibrate
    graph, steps = loaded(
        model,
        options,
        needed=_general(model, chosen),
        calibrate=fit,
        training=calibrate is not None,
    )
    whole = None if steps is None else before_pruning(model, options, fit, graph)
    found = [_native(model, board, options, graph, steps) for board in chosen]
    port = _port(found) if steps is None else steps.port
    if graph is not None and steps is not None:
        data = real_as_spikes(graph, steps, data) or data
    test = (
        as_stream(data, port).first(samples)
        if steps is None
        else judged_stream(data, steps, samples)
    )
    rest = [board for board, one in zip(chosen, found, strict=True) if one is None]
    fitted = test if calibrate is None else calibrate
    quantised = iter(
        build_each(
            graph,
            steps,
            rest,
            fitted,
            granularity,
            weight_bits,
            quality,
            strict=strict,
            progress=progress,
            whole=whole,
        )
        if rest and graph is not None and steps is not None
        else ()
    )
    every = [next(quantised) if one is None else one for one in found]
    left = [one for one in every if isinstance(one, Build)]
    _report_refused([one for one in every if isinstance(one, Refused)], refused, left)
    rival = _opponent(ann, calibrate, graph, steps)
    results = measure(left, steps, test, replace(choices, ann=rival), progress, whole)
    rows = [one for one in results if isinstance(one, BenchRow)]
    _report_refused([one for one in results if isinstance(one, Refused)], refused, rows)
    if keep is not None:
        measured = {row.board for row in rows}
        for built in left:
            if built.program.board.name in measured:
                keep(built)
    return rows


def _opponent(
    ann: bool | Ann, fit: Samples | None, graph: Graph | None, steps: StepGraph | None
) -> Ann | None:
    """What was asked for, with samples as the network takes them."""
    if ann is False:
        return None
    chosen = Ann() if ann is True else instance(ann, Ann, "ann", "True, or Ann(train=..., ...)")
    if graph is None or steps is None:
        return chosen
    train = real_as_spikes(graph, steps, chosen.train)
    return replace(chosen, train=train, fit=real_as_spikes(graph, steps, chosen.fit or fit))


def _general(model: str | Path | Graph, boards: Sequence[Board]) -> bool:
    """Whether some board needs the model as a graph."""
    own = native_target(model)
    return any(board.target != own for board in boards)


def _native(
    model: str | Path | Graph,
    board: Board,
    options: Options | None,
    graph: Graph | None,
    steps: StepGraph | None,
) -> Build | Refused | None:
    """What a file in the board's own units becomes there; None for every other model."""
    try:
        program = native_program(model, board, options)
    except CapacityError as error:
        return Refused(board, error)
    return None if program is None else Build(graph, steps, None, program, None)


def _port(found: Sequence[Build | Refused | None]) -> StepInput:
    """The input of the first program."""
    raise_refused(one for one in found if isinstance(one, Refused))
    return next(port_of(one.program) for one in found if isinstance(one, Build))


@vouching
def bench_program(
    path: str | Path,
    data: Samples,
    *,
    samples: int | None = None,
    verify_samples: int = VERIFY_SAMPLES,
    period_s: float | None = None,
    seeds: int = 0,
    ann: bool | Ann = False,
    readout: str | None = None,
    trust: bool = False,
) -> BenchRow:
    """The row of a program's directory: as `bench`, without the float network's side.

    `readout`: instead of the program's own (docs/readout.md). `trust` as in `load`.
    """
    rival = _opponent(ann, None, None, None)
    program, network = open_program(path)
    other = None if readout is None else read_out(program.settings, said=readout)
    choices = Choices(verify_samples, period_s, seeds, rival, readout=other)
    subject = Subject(program, network, saved_conversion(path))
    test = judged_samples(program, data, samples, other)
    return measure_program(subject, test, choices)


def _report_refused(
    found: Sequence[Refused],
    refused: Callable[[BenchRefusal], None] | None,
    left: Sequence[object],
) -> None:
    if refused is None or not left:
        raise_refused(found)
        return
    for one in found:
        board = one.board
        refused(BenchRefusal(board.name, board.target, one.error.problems, board.title))
