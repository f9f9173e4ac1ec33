"""Execute a programming file: volts on rows, amperes from columns, codes, digital neurons.

Nothing here is shared with the emulator: currents are dense products of the conductances that
the file holds, and the digital part is the plain integer reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snnstack.backends.crossbar.circuit import Array as CircuitArray
from snnstack.backends.crossbar.circuit import Circuit
from snnstack.backends.crossbar.instance import wires_of
from snnstack.backends.crossbar.numerics import NUMERICS
from snnstack.backends.crossbar.programming import NEURON
from snnstack.board import Board
from snnstack.ir.nodes import Array
from snnstack.ir.step import Pool, Projection, Sparse, StepInput, size
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation, quantized_lif
from snnstack.reference import run_quantized
from snnstack.reference.synapses import pooled
from snnstack.trace import Counts, Spikes, Trace

COUNTED = ("reads", "rows", "array_pw")
NO_SYNAPSES = Sparse(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64))


class Machine:
    """The arrays of a programming file, and what their tiles did so far.

    `counted[tile][name]` int64 [batch]: as the counts of tiles in an emulation.
    """

    def __init__(
        self, settings: Mapping[str, Any], arrays: Mapping[str, Array], board: Board, batch: int
    ) -> None:
        self.settings, self.arrays = settings, arrays
        self.batch, self.level = batch, settings["cell"]["step_us"] * 1e-6
        self.siemens = [arrays[f"array_{k}_us"] * 1e-6 for k in range(settings["arrays"])]
        self.power = [_Power(board, g) for g in self.siemens]
        self.counted = {
            t["tile"]: {n: np.zeros(batch, dtype=np.int64) for n in COUNTED}
            for t in settings["tiles"]
        }

    def synapses(self, projection: Projection, seen: Array, targets: int) -> Array:
        """What the tiles between two populations make of the spikes `seen` [batch, sources]."""
        total = np.zeros((self.batch, targets), dtype=np.int64)
        source = seen if projection.pool is None else pooled(projection.pool, seen)
        padded = np.concatenate([source, np.zeros((self.batch, 1), source.dtype)], axis=1)
        for tile in self.settings["tiles"]:
            if _edge(tile) == (projection.source, projection.target, projection.delay):
                self._tile(tile, padded, total)
        return total

    def _tile(self, tile: Mapping[str, Any], padded: Array, total: Array) -> None:
        """Add one tile's outputs to `total`: every phase of every position."""
        own = {n: self.arrays[f"tile_{tile['tile']}_{n}"] for n in ("gather", "scatter")}
        counts = padded[:, own["gather"]].reshape(-1, tile["rows"])
        mask = 2 ** tile["dac_bits"] - 1
        for phase in range(tile["phases"]):
            shift = phase * tile["dac_bits"]
            digits = (counts >> shift) & mask
            self._count(tile, digits)
            values = self._values(tile, digits) << shift
            reads = values.reshape(self.batch, *own["scatter"].shape)
            used = own["scatter"] >= 0
            np.add.at(total.T, own["scatter"][used], np.moveaxis(reads, 0, -1)[used])

    def _values(self, tile: Mapping[str, Any], digits: Array) -> Array:
        """[reads, outputs]: currents, codes without loss, shift and add."""
        own = {k: self.arrays[f"tile_{tile['tile']}_{k}"] for k in ("plus", "minus", "output",
                                                                      "coefficient")}  # fmt: skip
        rows = slice(tile["row"], tile["row"] + tile["rows"])
        volt = self.settings["read_v"] / tile["top_digit"]
        g = self.siemens[tile["array"]][rows, : tile["columns"]]
        amperes = (digits * volt) @ g
        difference = amperes[:, own["plus"]] - amperes[:, own["minus"]]
        codes = np.floor(difference / (volt * self.level) + 0.5)
        weighted = codes.astype(np.int64) * own["coefficient"]
        outputs = np.zeros((len(digits), int(own["output"].max()) + 1), dtype=np.int64)
        single = own["output"] >= 0
        np.add.at(outputs.T, own["output"][single], weighted.T[single])
        return np.asarray(outputs + weighted[:, ~single].sum(axis=1, keepdims=True))

    def _count(self, tile: Mapping[str, Any], digits: Array) -> None:
        """Reads in which a row is driven, rows driven, and power from the circuit with wires."""
        driven = (digits > 0).sum(axis=1)
        read = np.flatnonzero(driven)
        array = self.siemens[tile["array"]]
        volts = np.zeros((len(read), len(array)))
        volt = self.settings["read_v"] / tile["top_digit"]
        volts[:, tile["row"] : tile["row"] + tile["rows"]] = digits[read] * volt
        watts = np.zeros(len(digits))
        watts[read] = self.power[tile["array"]].watts(volts)
        found = (driven > 0, driven, np.rint(watts * 1e12))
        for name, values in zip(COUNTED, found, strict=True):
            each = values.reshape(self.batch, -1).sum(axis=1)
            self.counted[tile["tile"]][name] += each.astype(np.int64)


class _Power:
    """What an array's drivers deliver, wires included."""

    def __init__(self, board: Board, g: Array) -> None:
        from snnstack.backends.crossbar.hardware import hardware
        from snnstack.backends.crossbar.instance import through_wires

        self.topology, wires = hardware(board).topology, wires_of(board)
        self.cells = through_wires(board, g, np.zeros_like(g))
        self.ladder = None
        if self.topology == "gated_bl" and not wires.ideal:
            self.ladder = Circuit(CircuitArray(g, "gated_bl", wires))

    def watts(self, volts: Array) -> Array:
        """Of every vector [reads, rows]."""
        if not len(volts):
            return np.zeros(0)
        if self.ladder is not None:
            return np.asarray(volts.max(axis=1) * self.ladder.currents(volts).sum(axis=1))
        if self.cells.admittance is not None:
            return np.asarray(((volts @ self.cells.admittance) * volts).sum(axis=1))
        return np.asarray(volts**2 @ self.cells.seen.sum(axis=1))


def execute(
    settings: Mapping[str, Any],
    arrays: Mapping[str, Array],
    board: Board,
    spikes: Spikes,
    probes: Sequence[tuple[str, str]] = (),
) -> Trace:
    """The run of a programming file on `spikes`: ideal cells, converters without loss."""
    machine = Machine(settings, arrays, board, spikes.batch)
    trace = run_quantized(_network(settings, arrays), spikes, probes, synapses=machine.synapses)
    nothing = np.zeros(spikes.batch, dtype=np.int64)
    tiles = {
        f"tile {number}": Counts(nothing, nothing, nothing, counted)
        for number, counted in machine.counted.items()
    }
    return Trace(trace.spikes, trace.states, {**trace.counts, **tiles})


def _edge(tile: Mapping[str, Any]) -> tuple[str, str, int]:
    return tile["source"], tile["target"], tile["delay"]


def _network(settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> QuantizedNetwork:
    """Populations and who feeds whom; the weights stay in the arrays."""
    edges: dict[tuple[str, str, int], Projection] = {}
    for tile in settings["tiles"]:
        shape = tile["pool"]
        pool = None if shape is None else Pool(**{k: tuple(v) for k, v in shape.items()})
        source, target, delay = _edge(tile)
        edges[_edge(tile)] = Projection(source, target, NO_SYNAPSES, delay, pool)
    port = StepInput(settings["input"]["name"], tuple(settings["input"]["shape"]), "count")
    populations = tuple(
        _population(p, k, arrays) for k, p in enumerate(settings["populations"])
    )  # fmt: skip
    return QuantizedNetwork(
        (port,), populations, tuple(edges.values()), tuple(settings["outputs"]),
        settings["dt_s"], NUMERICS,
    )  # fmt: skip


def _population(p: Mapping[str, Any], k: int, arrays: Mapping[str, Array]) -> QuantizedPopulation:
    own = {n: arrays.get(f"population_{k}_{n}") for n in NEURON}
    return quantized_lif(
        name=p["name"],
        shape=tuple(p["shape"]),
        shift=p["shift"],
        scale=np.ones(size(tuple(p["shape"]))),
        reset=p["reset"],
        compare=p["compare"],
        refractory=p["refractory"],
        reset_time=p["reset_time"],
        alpha_bits=p["alpha_bits"],
        beta_bits=p["beta_bits"],
        **own,  # type: ignore[arg-type]
    )
