"""The verbs: load, compile, emulate, verify, bench. The command line calls the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from snnstack.board import Board, load_board
from snnstack.errors import Problem, TargetError, raise_if_any
from snnstack.frontends.data import Data
from snnstack.ir.graph import Graph
from snnstack.native import native_programs
from snnstack.passes.options import Options
from snnstack.pipeline import (
    Build,
    Samples,
    as_data,
    as_stream,
    build,
    build_all,
    load,
    loaded,
    open_program,
    run_float,
    save,
    save_all,
)
from snnstack.program import Program
from snnstack.quant.network import QuantizedNetwork
from snnstack.quant.scales import Granularity
from snnstack.reference import run_quantized
from snnstack.report.bench import BenchRow
from snnstack.report.equality import Equality, compare, joined
from snnstack.report.readout import (
    accuracy,
    aligned,
    classes,
    output_probes,
    spike_agreement,
)
from snnstack.target import Progress, backend, emulator
from snnstack.trace import Counts, Spikes, Trace

VERIFY_SAMPLES = 16
"""Samples that `bench` runs on the independent machine."""
BATCH_BYTES = 2**28
"""Recorded states that `verify` holds at a time, once for either side."""

__all__ = [
    "Build",
    "bench",
    "build",
    "compile",
    "emulate",
    "emulate_batches",
    "load",
    "open_program",
    "save",
    "save_all",
    "verify",
    "verify_reference",
]


def compile(
    model: str | Path | Graph,
    board: str | Board,
    calibrate: Samples | None = None,
    *,
    options: Options | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
) -> Program:
    """The program of a model file or graph on a board (by name or as data)."""
    return build(model, board, calibrate, options, granularity, weight_bits).program


def emulate(
    program: Program,
    data: Samples | Spikes,
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """What `program` computes on `data`, with event counts.

    `seed` None: the exact machine, bit for bit. A number: one physical chip of an analogue
    target (`snnstack.target.statistical`), reproducible; digital targets ignore it.
    `probes`: (population, "v" or "i") pairs, of those in `program.variables`.
    """
    spikes = data if isinstance(data, Spikes) else as_data(data, program.port).spikes
    return emulator(program.target).emulate(program, spikes, seed=seed, probes=probes)


def emulate_batches(
    program: Program,
    data: Samples,
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
) -> Iterator[tuple[Data, Trace]]:
    """`emulate` batch by batch: memory does not grow with the number of samples."""
    for part in as_stream(data, program.port).batches():
        yield part, emulate(program, part, seed=seed, probes=probes)


def verify(
    program: Program,
    data: Samples | Spikes,
    samples: int | None = None,
    *,
    progress: Progress | None = None,
) -> Equality:
    """Emulator against what was emitted, executed independently: every spike, every state."""
    if isinstance(data, Spikes):
        chosen = data if samples is None else data.samples(0, samples)
        return _verified(program, chosen, progress)[0]
    stream = as_stream(data, program.port).first(samples)
    results, done = [], 0
    for part in stream.batches():
        note = _shifted(progress, done, stream.samples)
        results.append(_verified(program, part.spikes, note)[0])
        done += part.spikes.batch
    return joined(results)


def verify_reference(
    program: Program, network: QuantizedNetwork, data: Samples | Spikes, samples: int | None = None
) -> Equality:
    """Emulator against the plain integer reference: every spike, every state."""
    spikes = _spikes(program, data, samples)
    emulated = emulate(program, spikes, probes=program.variables)
    own = getattr(backend(program.target), "reference", None)
    if own is None:
        reference = run_quantized(network, spikes, program.variables)
    else:
        reference = own(program, network, spikes, program.variables)
    return compare(emulated, reference, "integer reference")


def _spikes(program: Program, data: Samples | Spikes, samples: int | None) -> Spikes:
    if isinstance(data, Spikes):
        return data if samples is None else data.samples(0, samples)
    return as_stream(data, program.port).first(samples).read().spikes


def _verified(
    program: Program, spikes: Spikes, progress: Progress | None
) -> tuple[Equality, Trace]:
    """The comparison, and the counts of the independent run.

    Batches keep the recorded states small: a data set of any size fits the memory.
    """
    machine = backend(program.target)
    against = machine.describe(program)
    results, runs = [], []
    size = _batch(program, spikes)
    for start in range(0, spikes.batch, size):
        part = spikes.samples(start, start + size)
        note = _shifted(progress, start, spikes.batch)
        run = machine.run(program, part, probes=program.variables, progress=note)
        results.append(compare(emulate(program, part, probes=program.variables), run, against))
        runs.append(run.counts)
    own = getattr(machine, "agreements", None)
    found = joined(results)
    if own is not None:
        found = replace(found, agreements=tuple(own(program, spikes)))
    return found, Trace({}, {}, joined_counts(runs))


def _batch(program: Program, spikes: Spikes) -> int:
    """How many samples may record all states at once."""
    one = emulate(program, spikes.samples(0, 1), probes=program.variables)
    return max(1, BATCH_BYTES // max(1, sum(v.nbytes for v in one.states.values())))


def _shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(start + done, total)


def bench(
    model: str | Path | Graph,
    boards: Sequence[str | Board],
    data: Samples,
    *,
    calibrate: Samples | None = None,
    options: Options | None = None,
    granularity: Granularity = "neuron",
    weight_bits: int | None = None,
    samples: int | None = None,
    verify_samples: int = VERIFY_SAMPLES,
    period_s: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    keep: Callable[[Build], None] | None = None,
) -> list[BenchRow]:
    """One row per board: accuracy, agreement, latency, energy and memory of an inference.

    Accuracy and counts come from the emulator on all `samples`; latency and energy from the
    independent run of the first `verify_samples`, which is compared bit for bit as well.
    Scales are fitted to `calibrate`, else to the samples themselves. `keep` is given what was
    built for each board. Raises CapacityError for all boards that are too small, before
    anything runs.
    """
    chosen = _loaded(boards)
    own = native_programs(model, chosen, options)
    rest = [board for board in chosen if board.name not in own]
    graph, steps = loaded(model, options, needed=bool(rest))
    port = next(iter(own.values())).port if steps is None else steps.inputs[0]
    test = as_stream(data, port).first(samples).read()
    builds = {name: Build(graph, steps, None, made, None) for name, made in own.items()}
    if rest and graph is not None and steps is not None:
        fitted = test if calibrate is None else calibrate
        quantised = build_all(graph, steps, rest, fitted, granularity, weight_bits)
        builds |= {built.program.board.name: built for built in quantised}
    real = None if steps is None else run_float(steps, test)
    rows = []
    for built in (builds[board.name] for board in chosen):
        note = _named(progress, built.program.board.name)
        rows.append(_row(built, test, real, verify_samples, period_s, note))
        if keep is not None:
            keep(built)
    return rows


def _loaded(boards: Sequence[str | Board]) -> list[Board]:
    """All boards, each once; TargetError lists every name that is not a board."""
    found: dict[str, Board] = {}
    problems: list[Problem] = []
    for given in boards:
        try:
            board = load_board(given) if isinstance(given, str) else given
            found.setdefault(board.name, board)
        except TargetError as error:
            problems += error.problems
    raise_if_any(TargetError, problems)
    return list(found.values())


def _named(progress: Callable[[str, int, int], None] | None, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(name, done, total)


def _row(
    built: Build,
    test: Data,
    real: Trace | None,
    verify_samples: int,
    period_s: float | None,
    progress: Progress | None,
) -> BenchRow:
    program = built.program
    machine = backend(program.target)
    probes = output_probes(program.outputs, program.fires)
    trace = aligned(emulate(program, test, probes=probes), test.spikes.steps)
    found = classes(trace, program.outputs)
    expected = None if real is None else classes(real, program.outputs)
    equality, run = _verified(program, test.spikes.samples(0, verify_samples), progress)
    counted = run if run.counts else trace
    cost = machine.price(program, counted, period_s)
    used = machine.utilization(program)
    return BenchRow(
        board=program.board.name,
        target=program.target,
        samples=test.spikes.batch,
        steps=test.spikes.steps,
        accuracy=accuracy(found, test.labels),
        accuracy_float=None if expected is None else accuracy(expected, test.labels),
        spike_agreement=None if real is None else spike_agreement(trace, real, program.fires),
        class_agreement=None if expected is None else float(np.mean(found == expected)),
        bit_exact=equality.mismatches == 0,
        verified=equality,
        performance=cost,
        synops=_mean(trace, "synops", program.fires),
        updates=_mean(trace, "updates", program.fires),
        spikes=_mean(trace, "spikes", program.fires),
        memory={name: {"used": u, "available": a} for name, (u, a) in used.items()},
        board_status=program.board.status,
        settings=dict(program.settings),
    )


def joined_counts(runs: Sequence[Mapping[str, Counts]]) -> dict[str, Counts]:
    """The counts of consecutive batches as those of one."""
    found: dict[str, Counts] = {}
    for name, first in runs[0].items():
        parts = [run[name] for run in runs]
        found[name] = Counts(
            synops=np.concatenate([part.synops for part in parts]),
            updates=np.concatenate([part.updates for part in parts]),
            spikes=np.concatenate([part.spikes for part in parts]),
            other={k: np.concatenate([part.other[k] for part in parts]) for k in first.other},
        )
    return found


def _mean(trace: Trace, count: str, names: Iterable[str]) -> float:
    """Per inference, summed over the populations `names`; a trace may count by core as well."""
    return float(sum(getattr(trace.counts[name], count).mean() for name in names))
