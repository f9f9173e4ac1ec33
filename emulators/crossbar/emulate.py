"""A crossbar program on its emulator: the exact machine, or one chip of many."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.crossbar.check import program_problems
from snnstack.backends.crossbar.numerics import NUMERICS
from snnstack.backends.crossbar.program import Program
from snnstack.emulators.crossbar.chip import drawn_chip, ideal_chip
from snnstack.emulators.crossbar.flat import Flat, Room, flatten, ordered_tiles, room
from snnstack.emulators.crossbar.reads import NUMBERS, Counted, Physics, Reads
from snnstack.emulators.crossbar.sample import Elements, Events, States
from snnstack.engine.check import port_problems
from snnstack.engine.flat import Flat as EngineFlat
from snnstack.engine.plan import LayerPlan, NetworkPlan
from snnstack.errors import DataError, ModelError, Problem, TargetError, raise_if_any
from snnstack.process import processors
from snnstack.quant.network import QuantizedPopulation
from snnstack.quant.neurons import integer_neurons
from snnstack.trace import Counts, Spikes, Trace

PICO = 1e12


def emulate(
    program: Program,
    spikes: Spikes,
    *,
    seed: int | None = None,
    probes: Sequence[tuple[str, str]] = (),
    threads: int | None = None,
) -> Trace:
    """What a chip with `program` computes for `spikes`.

    `seed` None: ideal cells, no wires, converters without loss; every spike and state is that of
    the integer reference. A number: chip number `seed` of the board, whose cells, wires,
    converters and read noise are drawn: a statistical result, the same for the same seed on any
    number of threads, in any batch. `probes`: (population, "v" or "i"), recorded as int32
    [batch, steps, n].

    Besides the populations the trace counts every tile, `other` of "tile 0", ...: `reads`,
    `rows` driven in them, `array_pw`, the power of all its reads in picowatts, from the
    currents, `conversions` of channels, and how many of those `clipped`: fell outside of the
    converter's range and got its first or last code.
    """
    raise_if_any(TargetError, program_problems(program))
    port = program.input
    raise_if_any(DataError, port_problems(port.name, port.shape, port.max_count, spikes))
    raise_if_any(ModelError, _probe_problems(program, probes))
    flat = flatten(program)
    chip = ideal_chip(program, flat) if seed is None else drawn_chip(program, seed)
    return run_chip(program, flat, chip, spikes, probes, threads)


def _probe_problems(program: Program, probes: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    hint = 'probes are (population, "v") and, with a synaptic current, (population, "i")'
    for name, variable in probes:
        if (name, variable) not in program.variables:
            yield Problem(name, f"has no state {variable!r} to record", hint)


class _Job(NamedTuple):
    """Everything that all samples share."""

    program: Program
    flat: Flat
    chip: Physics
    room: Room
    digital: EngineFlat
    watch: NDArray[np.int64]
    recorded: int
    most: NDArray[np.int64]
    spikes: Spikes
    probes: tuple[tuple[str, str], ...]


class _Part(NamedTuple):
    """Results of one sample: by population events and where steps end; records; counts."""

    events: list[NDArray[np.int32]]
    ends: list[NDArray[np.int64]]
    records: list[NDArray[np.int32]]
    counted: Counted


def run_chip(
    program: Program,
    flat: Flat,
    chip: Physics,
    spikes: Spikes,
    probes: Sequence[tuple[str, str]] = (),
    threads: int | None = None,
) -> Trace:
    """All samples on one chip; the result does not depend on `threads`."""
    from snnstack.engine.job import prepared
    from snnstack.engine.work import watched

    layers = [LayerPlan(p.name, p.n, (), integer_neurons(p, NUMERICS)) for p in program.populations]
    plan, wanted = NetworkPlan((1,), tuple(layers)), tuple(dict.fromkeys(probes))
    digital, updates, _ = prepared(plan, wanted)
    watch, recorded = watched(plan, digital, updates, wanted, spikes.steps)
    most = [
        (NUMERICS.input_max - int(np.abs(p.bias).max(initial=0))) >> p.shift
        for p in program.populations
    ]
    job = _Job(
        program, flat, chip, room(flat), digital, watch, recorded,
        np.array(most, dtype=np.int64), spikes, wanted,
    )  # fmt: skip
    workers = processors() if threads is None else max(threads, 1)
    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(lambda k: _run_sample(job, k), range(spikes.batch)))
    return _joined(job, parts)


def _run_sample(job: _Job, sample: int) -> _Part:
    from snnstack.emulators.crossbar.noise import mixed
    from snnstack.emulators.crossbar.sample import run

    program, steps = job.program, job.spikes.steps
    events, states = _events(job, sample), _states(job)
    elements = Elements(
        np.zeros(job.room.elements + 1, dtype=np.int32),
        np.zeros(job.room.elements + 1, dtype=np.int64),
    )
    blocks = len(job.flat.blocks)
    counted = Counted(
        np.zeros(blocks, dtype=np.int64),
        np.zeros(blocks, dtype=np.int64),
        np.zeros(blocks),
        np.zeros(blocks, dtype=np.int64),
        np.zeros(blocks, dtype=np.int64),
        np.zeros(len(program.populations), dtype=np.int64),
    )
    key = np.uint64(mixed(job.chip.seed, _fingerprint(job.spikes, sample)))
    run(job.flat, job.chip, job.digital.layers, job.digital.parameters, key, steps, events, states,
        _reads(job), elements, counted)  # fmt: skip
    starts = [events.ends[1 + k] for k in range(len(program.populations))]
    found = [events.number[ends[0] : ends[-1]].copy() for ends in starts]
    return _Part(found, [e - e[0] for e in starts], list(_records(job, states)), counted)


def _fingerprint(spikes: Spikes, sample: int) -> int:
    """A number for the events of a sample: its noise is the same wherever it stands in a batch."""
    own = spikes.samples(sample, sample + 1)
    counts = b"" if own.counts is None else own.counts.tobytes()
    return zlib.crc32(own.indptr.tobytes() + own.indices.tobytes() + counts)


def _events(job: _Job, sample: int) -> Events:
    own = job.spikes.samples(sample, sample + 1)
    steps, sizes = own.steps, [p.n for p in job.program.populations]
    base = np.cumsum([0, len(own.indices), *(steps * n for n in sizes)])
    index = np.zeros(base[-1], dtype=np.int32)
    count = np.ones(base[-1], dtype=np.uint8)
    ends = np.zeros((1 + len(sizes), steps + 1), dtype=np.int64)
    index[: base[1]], ends[0] = own.indices, own.indptr
    if own.counts is not None:
        count[: base[1]] = own.counts
    ends[1:, 0] = base[1:-1]
    return Events(index, count, ends)


def _states(job: _Job) -> States:
    widest = max((p.n for p in job.program.populations), default=0)
    return States(
        job.digital.initial.copy(),
        np.zeros(widest, dtype=np.int64),
        np.zeros(widest, dtype=np.int32),
        np.zeros(widest + 8, dtype=np.uint8),
        job.most,
        job.watch,
        np.zeros(job.recorded, dtype=np.uint8),
    )


def _reads(job: _Job) -> Reads:
    size = job.room
    slots, spread = size.slots, size.width if len(job.chip.variance) else 0
    return Reads(
        np.zeros(slots, dtype=np.int64),
        np.zeros((slots, size.rows), dtype=np.int32),
        np.zeros((slots, size.rows), dtype=np.int32),
        np.zeros((slots, size.width * NUMBERS[job.chip.kind])),
        np.zeros((slots, spread)),
        np.zeros((slots, 2), dtype=np.int64),
        np.zeros(size.width),
        np.zeros(size.outputs, dtype=np.int64),
    )


def _records(job: _Job, states: States) -> Iterator[NDArray[np.int32]]:
    for _, _, start, size in job.watch:
        steps = job.spikes.steps
        yield states.record[start : start + steps * size].view(np.int32).reshape(steps, -1)


def _joined(job: _Job, parts: list[_Part]) -> Trace:
    batch, steps = job.spikes.batch, job.spikes.steps
    sizes = {p.name: p.n for p in job.program.populations}
    states = {
        probe: np.stack([part.records[k] for part in parts])
        if parts
        else np.zeros((0, steps, sizes[probe[0]]), dtype=np.int32)
        for k, probe in enumerate(job.probes)
    }
    spikes, counts = {}, {}
    for k, p in enumerate(job.program.populations):
        ends = [part.ends[k] for part in parts]
        fired = _spikes(p, [part.events[k] for part in parts], ends, (batch, steps))
        sent = np.array([e[-1] for e in ends], dtype=np.int64)
        synops = np.array([part.counted.synops[k] for part in parts], dtype=np.int64)
        counts[p.name] = Counts(synops, np.full(batch, steps * p.n, dtype=np.int64), sent)
        if p.fires:
            spikes[p.name] = fired
    return Trace(spikes, states, counts | _tile_counts(job, parts))


def _spikes(
    p: QuantizedPopulation, events: list[Any], ends: list[Any], size: tuple[int, int]
) -> Spikes:
    base = np.cumsum([0, *(e[-1] for e in ends)])
    pointers = [np.zeros(1, dtype=np.int64)]
    pointers += [e[1:] + b for e, b in zip(ends, base, strict=False)]
    index = np.concatenate([np.zeros(0, dtype=np.int32), *events])
    return Spikes(p.shape, *size, np.concatenate(pointers), index)


def _tile_counts(job: _Job, parts: list[_Part]) -> dict[str, Counts]:
    nothing = np.zeros(job.spikes.batch, dtype=np.int64)
    found = {}
    for k, tile in enumerate(ordered_tiles(job.program)):
        other = {
            "reads": [part.counted.reads[k] for part in parts],
            "rows": [part.counted.rows[k] for part in parts],
            "array_pw": [round(part.counted.watts[k] * PICO) for part in parts],
            "conversions": [part.counted.conversions[k] for part in parts],
            "clipped": [part.counted.clipped[k] for part in parts],
        }
        columns = {name: np.array(values, dtype=np.int64) for name, values in other.items()}
        found[tile.number] = (tile.name, Counts(nothing, nothing, nothing, columns))
    return dict(found[number] for number in sorted(found))
