"""From a model to the programs of boards: load, calibrate, quantise, compile, explain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from snnstack.board import Board, board_of
from snnstack.cell_ranges import assumed_ranges, cell_ranges
from snnstack.door import one_of, whole
from snnstack.errors import ModelError, SnnstackError, TargetError, fail, raise_if_any
from snnstack.foreign import vouching
from snnstack.frontends.data import Data
from snnstack.frontends.in_memory import given
from snnstack.integers import for_target, quantise_for
from snnstack.ir.graph import Graph
from snnstack.ir.inputs import split
from snnstack.ir.step import StepGraph
from snnstack.loading import before_pruning, discretised, load, loaded
from snnstack.native import native_program
from snnstack.passes.options import Options
from snnstack.program import Program
from snnstack.quant.calibration import Calibration, assumed, measured
from snnstack.quant.losses import as_settings, losses, warnings_of
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.scales import Granularity
from snnstack.refine import Quantise, refined
from snnstack.report.conversion import Conversion, conversion
from snnstack.report.readout import aligned, output_probes, read_out
from snnstack.samples import (
    CALIBRATION_SAMPLES,
    JUDGING_SAMPLES,
    Samples,
    calibration_run,
    real_as_spikes,
    run_float,
)
from snnstack.target import backend, compiler, emulator, offered
from snnstack.trace import Trace

_Made = TypeVar("_Made")

Quality = Literal["fast", "best"]
"""How hard the quantiser tries: see docs/quantisation.md."""
Told = Callable[[str, int, int], None]
"""`told(what, done, total)` while something long is under way."""


def check_choices(granularity: object, weight_bits: object, quality: object) -> None:
    """TargetError for a choice that is none."""
    one_of(granularity, get_args(Granularity), "granularity")
    one_of(quality, get_args(Quality), "quality")
    whole(weight_bits, "weight_bits", 1)


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


@dataclass(frozen=True)
class Refused:
    """A board that cannot take the network, and why."""

    board: Board
    error: SnnstackError


@vouching
def build(
    model: str | Path | Graph,
    board: str | Board,
    calibrate: Samples | None = None,
    options: Options | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
    *,
    strict: bool = False,
    progress: Told | None = None,
    trust: bool = False,
) -> Build:
    """The program of `model` on `board`; with `calibrate`, scales fitted to it and a report.

    `strict`: what quantisation loses beyond stated shares (`snnstack.quant.losses`) is an error.
    `trust`: files are read in this process, without limits of time and memory (docs/security.md).
    """
    board = board_of(board)
    check_choices(granularity, weight_bits, quality)
    calibrate = None if calibrate is None else given(calibrate)
    fixed = {"calibrate": calibrate, "weight-bits": weight_bits}
    program = native_program(model, board, options, fixed)
    if program is not None:
        return Build(*loaded(model, options, needed=False), None, program, None)
    graph = load(model, options, calibrate=calibrate)
    return build_steps(
        graph, discretised(graph), board, calibrate, granularity, weight_bits, quality,
        strict=strict, progress=progress, whole=before_pruning(model, options, calibrate, graph),
    )  # fmt: skip


def build_steps(
    graph: Graph,
    steps: StepGraph,
    board: Board,
    calibrate: Samples | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    quality: Quality = "fast",
    *,
    strict: bool = False,
    progress: Told | None = None,
    whole: StepGraph | None = None,
) -> Build:
    """`build` from a graph that is loaded and discretised already.

    `weight_bits` None: the width the target has of its own accord. `whole`: `steps` before
    pruning, which the report calls float. Raises what keeps the board from taking the network.
    """
    (found,) = build_each(
        graph, steps, [board], calibrate, granularity, weight_bits, quality,
        strict=strict, progress=progress, whole=whole,
    )  # fmt: skip
    if isinstance(found, Refused):
        raise found.error
    return found


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
    *,
    strict: bool = False,
    progress: Told | None = None,
    whole: StepGraph | None = None,
) -> list[Build | Refused]:
    """`build_steps` for several boards: those with the same numbers are quantised and explained
    once, and one that cannot take the network is an entry of its own.
    """
    samples = CALIBRATION_SAMPLES if quality == "fast" else JUDGING_SAMPLES
    run = calibration_run(steps, real_as_spikes(graph, steps, calibrate), samples)
    activity = None if run is None else measured(steps, run[0].spikes, run[1])
    activity = with_ranges(steps, activity, run)
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

            given = for_target(source, board.target)
            networks[key] = _or_error(
                lambda: with_losses(
                    _chosen(given, board, run, quality, quantised, progress),
                    for_target(steps, board.target),
                    activity,
                )
            )
        network = networks[key]
        if isinstance(network, SnnstackError):
            raise network
        raise_if_any(ModelError, warnings_of(network.settings) if strict else ())
        program = calibrated(steps, compiler(board.target).compile(network, board), run)
        return Build(graph, for_target(steps, board.target), network, program, None)

    def explained(built: Build | SnnstackError, board: Board) -> Build | Refused:
        if isinstance(built, SnnstackError):
            return Refused(board, built)
        key = _numbers(board)
        if key not in reports and built.network is not None and built.steps is not None:
            reports[key] = explain(built.steps, built.network, built.program, run, whole)
        return replace(built, conversion=reports.get(key))

    found = [_or_error(lambda board=board: one(board)) for board in boards]  # type: ignore[misc]
    return [explained(built, board) for built, board in zip(found, boards, strict=True)]


def with_ranges(
    steps: StepGraph, activity: Calibration | None, run: tuple[Data, Trace] | None
) -> Calibration | None:
    """`activity` with the ranges of populations of other models than the LIF family's."""
    if all(p.is_lif for p in steps.populations) or not steps.inputs:
        return activity
    found = assumed_ranges(steps) if run is None else cell_ranges(steps, run[0].spikes, run[1])
    return replace(activity or assumed(steps), ranges=found)


def with_losses(
    network: QuantizedNetwork, steps: StepGraph, activity: Calibration | None
) -> QuantizedNetwork:
    """`network` with what quantisation took from its float `steps`, in its settings."""
    found = losses(steps, network, activity or assumed(steps))
    return network.with_(settings={**network.settings, "losses": as_settings(found)})


def _or_error(make: Callable[[], _Made]) -> _Made | SnnstackError:
    try:
        return make()
    except SnnstackError as error:
        return error


def _numbers(board: Board) -> str:
    """Boards with the same answer share an integer network: those of the general quantiser."""
    own = offered(backend(board.target), "quantise")
    return board.target if own is None else f"{board.target}/{board.name}"


def calibrated(steps: StepGraph, program: Program, run: tuple[Data, Trace] | None) -> Program:
    """`program` with what its compiler fits to the spikes of every source, if there is such."""
    own = offered(compiler(program.target), "calibrate")
    if own is None or run is None:
        return program
    spikes = run[0].spikes
    sources = {**split(spikes, steps.inputs), steps.port.name: spikes, **run[1].spikes}
    return cast(Program, own(program, sources))


def _chosen(
    steps: StepGraph,
    board: Board,
    run: tuple[Data, Trace] | None,
    quality: Quality,
    quantised: Quantise,
    progress: Told | None,
) -> QuantizedNetwork:
    """The integers, quickly or the best that can be found; the latter needs data."""
    if quality == "fast":
        return quantised(steps, None)
    if run is None:
        hint = "--calibrate DATA names some"
        raise fail(TargetError, "--quality best", "needs samples to judge by", hint)
    told = None if progress is None else partial(progress, f"integers for {board.name}")
    return refined(steps, board, *run, quantised, told).network


def explain(
    steps: StepGraph,
    network: QuantizedNetwork,
    program: Program,
    run: tuple[Data, Trace] | None,
    whole: StepGraph | None = None,
) -> Conversion | None:
    """Layer by layer, what integers cost on the samples of a float `run` of `steps`; None without
    samples. `network` has the populations of `steps`; `whole` is the float network before pruning.
    """
    from snnstack.engine.steps import run_step_graph

    if run is None:
        return None
    readout = read_out(steps.settings)
    probes = output_probes(program.outputs, program.fires, readout)
    spikes = run[0].spikes
    emulated = emulator(program.target).emulate(program, spikes, probes=probes)
    trace = aligned(emulated, spikes.steps)
    real = None if whole is None else run_float(whole, run[0])
    return conversion(steps, network, *run, trace, run_step_graph, real)


def with_measured_memory(built: Build) -> Build:
    """The same with the memory that the target's own tools make of it, where they are there."""
    measure = offered(backend(built.program.target), "measured")
    return built if measure is None else replace(built, program=measure(built.program))
