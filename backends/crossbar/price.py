"""Energy and latency on crossbars: currents, drivers, converters, digital part, standing power.

Per tile and read: the array's own power for `read_ns`; each driven row `row_fj`; each converted
channel `adc_conversion_fj + adc_level_fj * 2**bits` and `digital_fj`. Per neuron update
`update_fj`, per event in or out `event_fj`. All the while `static_mw`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from snnstack.backends.crossbar.coding import channels
from snnstack.backends.crossbar.device import device_of
from snnstack.backends.crossbar.hardware import CrossbarHardware, hardware
from snnstack.backends.crossbar.program import Program, Tile
from snnstack.energy.model import Band, Component, Energy, Factor, Term
from snnstack.energy.performance import Performance
from snnstack.energy.price import factor, microjoules
from snnstack.energy.price import price as priced
from snnstack.errors import TargetError, fail
from snnstack.trace import Trace

LOSSLESS_BITS = 16
"""Resolution that a converter without loss is priced at."""
ADC_CYCLES: Mapping[str, Callable[[int], int]] = MappingProxyType(
    {"sar": lambda bits: bits, "ramp": lambda bits: 2**bits, "flash": lambda bits: 1}
)
"""Cycles of one conversion."""


class TileWork(NamedTuple):
    """What a tile did in one inference, on average over the samples."""

    tile: Tile
    reads: float
    rows: float
    watts: float
    channels: int
    pulses: int

    @property
    def conversions(self) -> float:
        """Channels converted."""
        return self.reads * self.channels


def price(program: Program, trace: Trace, period_s: float | None = None) -> Performance:
    """Of one inference, from the counts of a run or an emulation.

    Power comes from the trace: of an emulation with a seed through the wires of that chip. The
    energy of programming is not part of the inference: it is a note, with the number of
    inferences that use as much. `period_s`: one inference every so many seconds. Raises
    TargetError if `trace` holds no counts of tiles.
    """
    work = tile_work(program, trace)
    active = _active(program, work, _steps(program, trace))
    busy = _band(active)
    parts = [_sum(name, [tile_energy(program, w)[name] for w in work]) for name in TILE_PARTS]
    energy = Energy(
        (*parts, *_digital(program, trace), _static(program, active, period_s)),
        (*_programming_note(program, parts), *_late(busy, period_s)),
    )
    samples = len(next(iter(trace.counts.values())).updates)
    return Performance(
        latency=busy,
        energy=energy,
        basis=f"reads and currents of {len(work)} tiles, counted over {samples} samples",
        counts=MappingProxyType(_counts(program, work)),
    )


TILE_PARTS = ("arrays", "row drivers", "converters", "shift and add")


def tile_work(program: Program, trace: Trace) -> list[TileWork]:
    """What every tile did in one inference."""
    found, machine = [], hardware(program.board)
    for tile in program.tiles:
        if tile.name not in trace.counts:
            what = f"the trace holds no counts of {tile.name}"
            raise fail(TargetError, program.name, what, "price the trace of a run or an emulation")
        mean = {k: float(v.mean()) for k, v in trace.counts[tile.name].other.items()}
        count = len(channels(program.coding, tile.block.scatter.shape[1]).plus)
        watts = mean["array_pw"] * 1e-12
        pulses = 1 if machine.dac_kind == "voltage" else tile.route.top.bit_length()
        found.append(TileWork(tile, mean["reads"], mean["rows"], watts, count, pulses))
    return found


def tile_energy(program: Program, work: TileWork) -> dict[str, Component]:
    """Energy of one tile's part of an inference, by component."""
    board, bits = program.board, adc_bits(hardware(program.board))
    read = factor(board, "read_ns")
    conversions = work.conversions
    fixed, level = factor(board, "adc_conversion_fj"), factor(board, "adc_level_fj")
    return {
        "arrays": Component("arrays", "dynamic", (Term(work.watts * 1e-3, (read,)),)),
        "row drivers": priced(
            "row drivers", "dynamic", work.rows * work.pulses, factor(board, "row_fj")
        ),
        "converters": Component(
            "converters",
            "dynamic",
            (
                Term(conversions * microjoules(fixed), (fixed,)),
                Term(conversions * 2**bits * microjoules(level), (level,)),
            ),
        ),
        "shift and add": priced(
            "shift and add", "dynamic", conversions, factor(board, "digital_fj")
        ),
    }


def tile_breakdown(program: Program, trace: Trace) -> list[dict[str, Any]]:
    """For every tile: where it is, what it did and the uJ of an inference by component."""
    rows = []
    for work in tile_work(program, trace):
        parts = {k: c.band.typical for k, c in tile_energy(program, work).items()}
        block, route = work.tile.block, work.tile.route
        rows.append(
            {
                "tile": work.tile.number,
                "from": route.source,
                "to": route.target,
                "array": block.array,
                "rows": block.rows,
                "columns": block.columns,
                "reads": work.reads,
                "rows_driven": work.rows,
                "conversions": work.conversions,
                "energy_uj": parts,
                "total_uj": sum(parts.values()),
            }
        )
    return rows


def programming_energy(program: Program) -> Band:
    """Energy in uJ of writing all cells of the program once."""
    write = device_of(program.board).write
    cells = sum(tile.block.levels.size for tile in program.tiles)
    ends = []
    for end in ("low", "typical", "high"):
        pulses = getattr(write.pulses, end)
        each = getattr(write.pulse_pj, end) + getattr(write.verify_pj, end)
        ends.append(cells * pulses * each * 1e-6)
    return Band(*ends)


def adc_bits(machine: CrossbarHardware) -> int:
    """Bits that a conversion is priced with."""
    return machine.adc_bits or LOSSLESS_BITS


def _steps(program: Program, trace: Trace) -> float:
    first = program.populations[0]
    return float(trace.counts[first.name].updates.mean()) / first.n


def _sum(name: str, parts: list[Component]) -> Component:
    """One component of all tiles; terms with the same coefficients are added up."""
    scales: dict[tuple[Factor, ...], float] = {}
    for term in (t for part in parts for t in part.terms):
        scales[term.factors] = scales.get(term.factors, 0.0) + term.scale
    return Component(name, "dynamic", tuple(Term(v, k) for k, v in scales.items()))


def _digital(program: Program, trace: Trace) -> tuple[Component, ...]:
    updates = sum(float(trace.counts[p.name].updates.mean()) for p in program.populations)
    tiles = [t for t in program.tiles if t.route.source == program.input.name]
    received = max((_events(t, trace) for t in tiles), default=0.0)
    sent = sum(float(trace.counts[name].spikes.mean()) for name in program.outputs)
    event = factor(program.board, "event_fj")
    return (
        priced("neurons", "dynamic", updates, factor(program.board, "update_fj")),
        priced("events in and out", "io", received + sent, event),
    )


def _events(tile: Tile, trace: Trace) -> float:
    """Source events that drove the rows of a tile: rows, over the rows that one event drives."""
    driven = tile.block.gather[tile.block.gather >= 0]
    each = max(len(driven), 1) / max(len(np.unique(driven)), 1)
    return float(trace.counts[tile.name].other["rows"].mean()) / each


def _active(
    program: Program, work: list[TileWork], steps: float
) -> tuple[tuple[float, Factor], ...]:
    """Seconds as (scale, factor) pairs: populations one after the other, arrays side by side."""
    board, machine = program.board, hardware(program.board)
    cycles = ADC_CYCLES[machine.adc_kind](adc_bits(machine))
    reads = conversions = 0.0
    for population in program.populations:
        own: dict[int, tuple[float, float]] = {}
        for w in work:
            if w.tile.route.target == population.name:
                shared = min(machine.columns_per_adc, w.tile.block.columns) / w.tile.block.columns
                turns = math.ceil(shared * w.channels)
                before = own.get(w.tile.block.array, (0.0, 0.0))
                own[w.tile.block.array] = (before[0] + w.reads, before[1] + w.reads * turns)
        slowest = max(own.values(), key=lambda pair: pair[1], default=(0.0, 0.0))
        reads, conversions = reads + slowest[0], conversions + slowest[1]
    return (
        (reads * 1e-9, factor(board, "cycle_ns")),
        (conversions * cycles * 1e-9, factor(board, "adc_cycle_ns")),
        (steps * len(program.populations) * 1e-9, factor(board, "step_ns")),
    )


def _band(terms: tuple[tuple[float, Factor], ...]) -> Band:
    low = sum(scale * f.low for scale, f in terms)
    typical = sum(scale * f.typical for scale, f in terms)
    return Band(low, typical, sum(scale * f.high for scale, f in terms))


def _static(
    program: Program, active: tuple[tuple[float, Factor], ...], period_s: float | None
) -> Component:
    terms: list[Term] = []
    for name, count in (("static_mw", 1), ("static_array_mw", program.arrays)):
        power = factor(program.board, name)
        unit = count * microjoules(power)
        if period_s is not None:
            terms.append(Term(period_s * unit, (power,)))
        else:
            terms += [Term(scale * unit, (power, f)) for scale, f in active]
    return Component("standing power", "static", tuple(terms))


def _counts(program: Program, work: list[TileWork]) -> Mapping[str, float]:
    written = programming_energy(program)
    return {
        "tiles": float(len(work)),
        "reads": sum(w.reads for w in work),
        "rows_driven": sum(w.rows for w in work),
        "conversions": sum(w.conversions for w in work),
        "programming_uj": written.typical,
        "programmed_cells": float(sum(t.block.levels.size for t in program.tiles)),
    }


def _programming_note(program: Program, parts: list[Component]) -> tuple[str, ...]:
    written = programming_energy(program)
    dynamic = float(np.sum([part.band.typical for part in parts]))
    if dynamic <= 0:
        return ()
    inferences = written.typical / dynamic
    band = f"{written.typical:.3g} uJ ({written.low:.2g}-{written.high:.2g})"
    return (
        f"not included: writing the cells once takes {band}, the dynamic energy of "
        f"{inferences:.3g} inferences",
    )


def _late(busy: Band, period_s: float | None) -> tuple[str, ...]:
    if period_s is None or busy.typical <= period_s:
        return ()
    text = f"one inference takes {busy.typical * 1e3:.4g} ms, more than its {period_s * 1e3:.4g} ms"
    return (text,)
