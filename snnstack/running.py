"""Run a program: on its emulator, on what is independent of it, or on the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import (
    DataError,
    fail,
)
from snnstack.frontends.data import Data
from snnstack.frontends.values import checked_values
from snnstack.measure import (
    Subject,
    compared_with_reference,
    shifted,
    verified,
)
from snnstack.program import Program
from snnstack.quant.network import QuantizedNetwork
from snnstack.report.equality import Equality, compare, joined
from snnstack.samples import Samples, as_data, as_stream
from snnstack.target import Progress, backend, emulator
from snnstack.trace import Spikes, Trace


def emulate(
    program: Program,
    data: Samples | Spikes | NDArray[Any],
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """What `program` computes on `data`, with event counts.

    A program whose input carries values (`carries_values`) takes an array [sample, step, n].

    `seed` None: the exact machine, bit for bit. A number: one physical chip of an analogue
    target (`snnstack.target.statistical`), reproducible; digital targets ignore it.
    `probes`: (population, "v" or "i") pairs, of those in `program.variables`.
    """
    machine = emulator(program.target)
    if isinstance(data, np.ndarray):
        values: Any = _values(program, data)
        return machine.emulate(program, values, seed=seed, probes=probes)
    spikes = data if isinstance(data, Spikes) else as_data(data, program.port).spikes
    return machine.emulate(program, spikes, seed=seed, probes=probes)


def carries_values(program: Program) -> bool:
    """Whether the events of the program's input carry signed integers."""
    return bool(getattr(program, "graded", False))


def _values(program: Program, data: NDArray[Any]) -> NDArray[np.int64]:
    if not carries_values(program):
        what = "the input takes spikes, not an array of values"
        raise fail(DataError, program.port.name, what, 'give {"x": ...} or Spikes')
    return checked_values(data, program.port, "data")


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
    data: Samples | Spikes | NDArray[Any],
    samples: int | None = None,
    *,
    progress: Progress | None = None,
) -> Equality:
    """Emulator against what was emitted, executed independently: every spike, every state."""
    if isinstance(data, np.ndarray):
        machine, values = backend(program.target), _values(program, data)[:samples]
        given: Any = values
        run = machine.run(program, given, probes=program.variables, progress=progress)
        found = emulate(program, values, probes=program.variables)
        return compare(found, run, machine.describe(program))
    if isinstance(data, Spikes):
        chosen = data if samples is None else data.samples(0, samples)
        return verified(program, chosen, progress)[0]
    stream = as_stream(data, program.port).first(samples)
    results, done = [], 0
    for part in stream.batches():
        note = shifted(progress, done, stream.samples)
        results.append(verified(program, part.spikes, note)[0])
        done += part.spikes.batch
    return joined(results)


def verify_reference(
    program: Program,
    network: QuantizedNetwork | None,
    data: Samples | Spikes,
    samples: int | None = None,
) -> Equality:
    """Emulator against the plain integer reference: every spike, every state.

    `network` may be None for a target with a definition of its own.
    """
    spikes = _spikes(program, data, samples)
    return compared_with_reference(Subject(program, network, None), spikes)


def _spikes(program: Program, data: Samples | Spikes, samples: int | None) -> Spikes:
    if isinstance(data, Spikes):
        return data if samples is None else data.samples(0, samples)
    return as_stream(data, program.port).first(samples).read().spikes
