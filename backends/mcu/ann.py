"""The honest opponent: an int8 network without spikes, of the same shape, on the same board.

Same layers, one pass: activations int8, weights int8, sums int32, an arithmetic shift and ReLU
between layers (`snnstack.quant.opponent_int8`). Where the shift replaces the usual fixed-point
multiplication the opponent gets cheaper, never dearer. Zero inputs are not skipped.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from snnstack.backends.mcu.ann_emit import emit_ann
from snnstack.backends.mcu.ann_stages import Stage, permutation, stages, stages_of
from snnstack.backends.mcu.execute import execute_qemu
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.qemu import machine, require
from snnstack.backends.mcu.run import run, stand_in_sources
from snnstack.backends.mcu.toolchain import build, find
from snnstack.energy import clocked_energy, latency
from snnstack.energy.performance import Performance
from snnstack.files import write_directory
from snnstack.quant.opponent_int8 import Int8Opponent
from snnstack.trace import Spikes

RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Input spikes per element and step that `crossing_rate` runs."""
MOST_STEPS = 32


@dataclass(frozen=True, eq=False)
class AnnRun:
    """Exact instructions of an inference (the mean of all, rounded up), int8 outputs in memory
    order ([n], or [sample, n] for inputs of several samples), bytes of the image.
    """

    instructions: int
    outputs: NDArray[np.int64]
    macs: int
    flash: int
    ram: int


@dataclass(frozen=True)
class Crossing:
    """Where the spiking network stops winning, in executed instructions per inference.

    `rate`: input spikes per element and step; `spikes_per_input`: the same over all steps. Both
    are None if it wins at every rate, 0 if it wins at none. `curve`: (rate, instructions).
    """

    rate: float | None
    spikes_per_input: float | None
    ann_instructions: int
    steps: int
    curve: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        ann = f"the int8 network without spikes needs {self.ann_instructions} instructions"
        if self.rate is None:
            return f"{ann}; the spiking one needs fewer at every input rate"
        if self.rate == 0:
            return f"{ann}; the spiking one needs more at every input rate"
        return (
            f"{ann}; the spiking one needs fewer below {100 * self.rate:.2g} % input rate "
            f"({self.spikes_per_input:.2g} spikes per input in {self.steps} steps)"
        )


def run_ann(
    program: Program,
    inputs: NDArray[np.int8] | None = None,
    chain: Sequence[Stage] | None = None,
    *,
    toolchain: str | None = None,
) -> AnnRun:
    """Emit the opponent for the program's board and run it in QEMU, once for each sample.

    `chain`: its stages; None: those of the program, with the program's weights. `inputs`: int8
    [n] or [sample, n] in memory order; None: fixed random ones. Raises `TargetError` if the
    program is no chain of dense and convolution layers.
    """
    chain = stages(program) if chain is None else chain
    values = default_inputs(program) if inputs is None else inputs
    board = hardware(program.board)
    found = machine(board.qemu_machine)
    require(found)
    compiler = find(board, toolchain)
    with tempfile.TemporaryDirectory(prefix="snnstack-") as name:
        folder = Path(name) / "firmware"
        write_directory(emit_ann(program, chain, values), folder)
        sources = ["ann/ann.c", *stand_in_sources(board), "ann/main.c"]
        image = build(compiler, folder, sources, "qemu/link.ld", "ann.elf")
        printed = execute_qemu(found, image.elf, 120.0).text.split()
    words = np.array([int(line, 16) for line in printed], dtype=np.uint32)
    table = words.reshape(-1, 1 + chain[-1].outputs)
    outputs = table[:, 1:].astype(np.int32).astype(np.int64).reshape(*values.shape[:-1], -1)
    macs = sum(stage.macs for stage in chain)
    instructions = math.ceil(table[:, 0].mean())
    return AnnRun(instructions, outputs, macs, image.flash, image.ram)


def default_inputs(program: Program) -> NDArray[np.int8]:
    """Fixed random activations 0..127."""
    count = int(np.prod(program.input.shape))
    return np.random.default_rng(0).integers(0, 128, count).astype(np.int8)


def opponent(
    program: Program,
    net: Int8Opponent,
    given: NDArray[np.int8],
    period_s: float | None = None,
    steps: int | None = None,
    *,
    toolchain: str | None = None,
) -> tuple[Performance, NDArray[np.int64]]:
    """Latency and energy of an inference of `net` on the program's board, and its int8 outputs.

    Priced as `price` does the program. `given` int8 [sample, input] and the outputs [sample, n]
    are in C order. With `steps`, `basis` also says from which input rate on the program needs
    more instructions.
    """
    found = run_ann(program, given[:, permutation(net.net, 0)], stages_of(net), toolchain=toolchain)
    basis = "int8, every input multiplied; instructions counted in QEMU"
    if steps:
        basis = f"{basis}; {crossing_rate(program, steps, found.instructions)}"
    cost = Performance(
        latency=latency(found.instructions, program.board),
        energy=clocked_energy(found.instructions, program.board, period_s),
        basis=basis,
        counts=MappingProxyType(
            {"instructions": float(found.instructions), "macs": float(found.macs)}
        ),
    )
    outputs = np.empty_like(found.outputs)
    outputs[:, permutation(net.net, len(net.net.layers))] = found.outputs
    return cost, outputs


def crossing_rate(
    program: Program,
    steps: int,
    ann_instructions: int | None = None,
    *,
    rates: Sequence[float] = RATES,
    seed: int = 0,
    toolchain: str | None = None,
) -> Crossing:
    """The input rate from which on the opponent needs fewer instructions than the program.

    Runs the program in QEMU on random input of each rate (ascending), for at most `MOST_STEPS`
    of the `steps` and the rest in proportion; the layers behind the input fire as often as they
    then do. Linear between two rates.
    """
    if ann_instructions is None:
        ann_instructions = run_ann(program, toolchain=toolchain).instructions
    shown = min(steps, MOST_STEPS)
    trace = run(program, _random(program, shown, rates, seed), toolchain=toolchain)
    counts = [np.asarray(c.other["instructions"]) for c in trace.counts.values()]
    totals = np.sum(counts, axis=0) * (steps / shown)
    curve = tuple(zip(rates, totals.astype(float).tolist(), strict=True))
    rate = _crossing(curve, ann_instructions)
    return Crossing(rate, None if rate is None else rate * steps, ann_instructions, steps, curve)


def _random(program: Program, steps: int, rates: Sequence[float], seed: int) -> Spikes:
    rng = np.random.default_rng(seed)
    drawn = rng.random((1, steps, *program.input.shape))
    dense = np.concatenate([drawn < rate for rate in rates]).astype(np.uint8)
    return Spikes.from_dense(dense)


def _crossing(curve: Sequence[tuple[float, float]], limit: float) -> float | None:
    """The first rate at which the curve exceeds `limit`, between two of its points.

    >>> _crossing([(0.1, 10.0), (0.2, 30.0)], 20)
    0.15
    """
    if curve[0][1] > limit:
        return 0.0
    for (low, under), (high, over) in itertools.pairwise(curve):
        if over > limit:
            return round(low + (high - low) * (limit - under) / (over - under), 12)
    return None


__all__ = ["AnnRun", "Crossing", "Stage", "crossing_rate", "opponent", "run_ann"]
