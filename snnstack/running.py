"""Run a program: on its emulator, on what is independent of it, or on the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.door import pairs, whole
from snnstack.errors import DataError, fail
from snnstack.foreign import vouching
from snnstack.frontends.data import Data
from snnstack.frontends.in_memory import given
from snnstack.frontends.stream import Stream
from snnstack.frontends.values import checked_values, read_values
from snnstack.measure import (
    Subject,
    compared_with_reference,
    shifted,
    verified,
)
from snnstack.measure.clipping import ClippedSums
from snnstack.notices import say
from snnstack.program import Program, port_of, program_of
from snnstack.quant.network import QuantizedNetwork
from snnstack.report.blocks import say_blocks
from snnstack.report.clipping import warnings_of
from snnstack.report.equality import Equality, compare, joined
from snnstack.report.readout import ReadOut, check_readout, output_probes, read_out, usual_scores
from snnstack.samples import Samples, as_data, as_stream
from snnstack.target import Progress, backend, emulator
from snnstack.trace import Spikes, Trace


@vouching
def emulate(
    program: Program,
    data: Samples,
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
    trust: bool = False,
) -> Trace:
    """What `program` computes on `data`, with event counts.

    A program whose input carries values (`carries_values`) takes integers [sample, step, n].

    `seed` None: the exact machine, bit for bit. A number: one physical chip of an analogue
    target (`snnstack.target.statistical`), reproducible; digital targets ignore it.
    `probes`: (population, "v" or "i") pairs, of those in `program.variables`. `trust`: data is
    read in this process, without limits of time and memory (docs/security.md).

    Tiles whose converters clip are warned about (`snnstack.report.clipping`).
    """
    found = _emulated(program, data, seed, probes)
    sums = ClippedSums()
    sums.add(found.counts)
    _say_clipped(program_of(program), sums)
    return found


def _say_clipped(program: Program, sums: ClippedSums) -> None:
    for problem in warnings_of(sums.found(program)):
        say(problem.where, problem.what, problem.hint)


def _emulated(
    program: Program, data: Samples, seed: int | None, probes: Sequence[tuple[str, str]]
) -> Trace:
    program = program_of(program)
    seed, probes = whole(seed, "seed", 0), pairs(probes, "probes")
    machine = emulator(program.target)
    if carries_values(program) and not isinstance(data, Spikes):
        values: Any = _values(program, data)
        return machine.emulate(program, values, seed=seed, probes=probes)
    spikes = as_data(data, port_of(program)).spikes
    return machine.emulate(program, spikes, seed=seed, probes=probes)


def carries_values(program: Program) -> bool:
    """Whether the events of the program's input carry signed integers."""
    return bool(getattr(program, "graded", False))


def _values(program: Program, data: Samples) -> NDArray[np.int64]:
    """Signed integers [sample, step, n] from a file or from arrays in any form."""
    found = given(data)
    if isinstance(found, str | PathLike):
        return read_values(Path(found), program.port)[0]
    if not isinstance(found, Mapping) or found.get("x") is None:
        what = "the input takes values, not spikes"
        raise fail(DataError, program.port.name, what, "give integers [sample, step, n]")
    return checked_values(found["x"], program.port, "data")


def judged_samples(
    program: Program, data: Samples, samples: int | None = None, readout: ReadOut | None = None
) -> Stream:
    """The first `samples` for `program`; DataError for labels beyond its classes, ModelError
    where its output cannot be read by `readout` (None: the program's own).
    """
    stream = as_stream(data, port_of(program)).first(samples)
    if carries_values(program):
        return stream
    neurons, output = _output_size(program), program.outputs[0]
    if readout is None:
        readout = read_out(program.settings)
        say_blocks(program.settings, stream.labels, neurons, stream.name)
    check_readout(readout, output, neurons, program.fires[output])
    return stream.within(readout.count(neurons))


def _output_size(program: Program) -> int:
    """Neurons of the first output, as a silent step shows them."""
    silent = Spikes.from_dense(np.zeros((1, 1, *program.port.shape), dtype=np.uint8))
    silent = silent.valued() if program.port.events == "value" else silent
    probes = output_probes(program.outputs, program.fires)
    trace = emulator(program.target).emulate(program, silent, seed=None, probes=probes)
    return int(usual_scores(trace, program.outputs[0]).shape[1])


@vouching
def emulate_batches(
    program: Program,
    data: Samples,
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
    readout: ReadOut | None = None,
    trust: bool = False,
) -> Iterator[tuple[Data, Trace]]:
    """`emulate` batch by batch: memory does not grow with the number of samples.

    Labels are checked against the classes of `readout` (None: the program's own). What clipped in
    all of them is said after the last one. `trust` as in `emulate`.
    """
    return _batches(program, judged_samples(program, data, readout=readout), seed, probes)


def _batches(
    program: Program, stream: Stream, seed: int | None, probes: Sequence[tuple[str, str]]
) -> Iterator[tuple[Data, Trace]]:
    sums = ClippedSums()
    for part in stream.batches():
        found = _emulated(program, part, seed, probes)
        sums.add(found.counts)
        yield part, found
    _say_clipped(program, sums)


@vouching
def verify(
    program: Program,
    data: Samples,
    samples: int | None = None,
    *,
    progress: Progress | None = None,
    readout: ReadOut | None = None,
    trust: bool = False,
) -> Equality:
    """Emulator against what was emitted, executed independently: every spike, every state.

    `readout` as in `emulate_batches`, `trust` as in `emulate`.
    """
    program, samples = program_of(program), whole(samples, "samples", 1)
    if carries_values(program) and not isinstance(data, Spikes):
        machine = backend(program.target)
        values: Any = _values(program, data)[:samples]
        run = machine.run(program, values, probes=program.variables, progress=progress)
        found = emulate(program, values, probes=program.variables)
        return compare(found, run, machine.describe(program))
    stream = judged_samples(program, data, samples, readout)
    results, done = [], 0
    for part in stream.batches():
        note = shifted(progress, done, stream.samples)
        results.append(verified(program, part.spikes, note)[0])
        done += part.spikes.batch
    return joined(results)


@vouching
def verify_reference(
    program: Program,
    network: QuantizedNetwork | None,
    data: Samples,
    samples: int | None = None,
    *,
    trust: bool = False,
) -> Equality:
    """Emulator against the plain integer reference: every spike, every state.

    `network` may be None for a target with a definition of its own. `trust` as in `emulate`.
    """
    program = program_of(program)
    spikes = as_stream(data, port_of(program)).first(samples).read().spikes
    return compared_with_reference(Subject(program, network, None), spikes)
