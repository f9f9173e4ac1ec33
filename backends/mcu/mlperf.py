"""Measured rows to hold the cycle and energy model against: the MLPerf Tiny auto-encoder.

The network is fully connected, so that our int8 kernels execute what the submitters' do: the
same multiplications, each weight read once from flash. The convolution networks of the suite
use other kernels than ours and say nothing about the model.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from snnstack.backends.mcu.ann import default_inputs
from snnstack.backends.mcu.ann_emit import emit_ann
from snnstack.backends.mcu.ann_stages import stages
from snnstack.backends.mcu.cycles import Cycles, cycles
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.mix import measure
from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.program import DenseTable, InputPort, Layer, Program, Route
from snnstack.backends.mcu.qemu import machine, require
from snnstack.backends.mcu.run import stand_in_sources
from snnstack.backends.mcu.toolchain import build, find
from snnstack.board import load_board
from snnstack.dynamics.model import Neurons
from snnstack.energy import Band
from snnstack.files import write_directory
from snnstack.ir.lif import family
from snnstack.quant.neurons import held

AUTOENCODER = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)
"""Neurons of the anomaly-detection network: 264 192 multiplications."""
_SOURCE = "mlcommons/tiny_results_v1.2, closed/STMicroelectronics/results/{}/ad/energy/results.txt"


@dataclass(frozen=True)
class Row:
    """One measured row. `role`: whether the costs in `cycles` were looked at with it in view."""

    board: str
    per_second: float
    energy_uj: float
    role: Literal["calibration", "left out"]
    source: str


ROWS = (
    Row("nucleo-l4r5zi", 190.458, 203.368, "calibration", _SOURCE.format("NUCLEO_L4R5ZI")),
    Row("nucleo-h7a3zi-q", 818.331, 165.728, "calibration", _SOURCE.format("NUCLEO_H7A3ZI_Q")),
    Row("nucleo-u575zi-q", 293.341, 81.875, "left out", _SOURCE.format("NUCLEO_U575ZI_Q")),
)  # fmt: skip
"""Median throughput and energy, from results that anyone can read."""


@dataclass(frozen=True)
class Prediction:
    """A row beside what the model says: cycles and uJ of one inference."""

    row: Row
    measured_cycles: float
    cycles: Band
    energy_uj: Band

    @property
    def holds(self) -> bool:
        """Whether the measured energy lies in the predicted band."""
        return self.energy_uj.low <= self.row.energy_uj <= self.energy_uj.high


def predict(row: Row, *, toolchain: str | None = None) -> Prediction:
    """Build the auto-encoder for the row's board, take its mix in QEMU, price it."""
    board = load_board(row.board)
    found = autoencoder_cycles(row.board, toolchain=toolchain).cycles
    active = board.coefficients["active_pj_per_cycle"]
    per_cycle = (active.low, active.typical, active.high)
    energy = Band(*(c * pj * 1e-6 for c, pj in zip(found, per_cycle, strict=True)))
    return Prediction(row, float(board.clock.value) / row.per_second, found, energy)


def autoencoder_cycles(board: str, *, toolchain: str | None = None) -> Cycles:
    """Cycles of one inference of the int8 auto-encoder."""
    program = autoencoder(board)
    chain = stages(program)
    known = hardware(program.board)
    stand_in = machine(known.qemu_machine)
    require(stand_in)
    compiler = find(known, toolchain)
    with tempfile.TemporaryDirectory(prefix="snnstack-") as name:
        folder = Path(name) / "firmware"
        write_directory(emit_ann(program, chain, default_inputs(program)), folder)
        sources = ["ann/ann.c", *stand_in_sources(known), "ann/main.c"]
        image = build(compiler, folder, sources, "qemu/link.ld", "ann.elf")
        mix = measure(stand_in, image.elf)
    constants = float(sum(stage.macs for stage in chain))
    band = cycles(mix, program.board, constants)
    clock = float(program.board.clock.value)
    return Cycles(mix, constants, band, Band(*(value / clock for value in band)))


def autoencoder(board: str) -> Program:
    """The shape as a program with random weights; only the opponent is built from it."""
    rng = np.random.default_rng(0)
    sizes = AUTOENCODER
    layers = tuple(
        _layer(
            f"fc{k}", f"fc{k - 1}" if k > 1 else "input",
            rng.integers(-127, 128, (sizes[k - 1], sizes[k])).astype(np.int8),
        )
        for k in range(1, len(sizes))
    )  # fmt: skip
    port = InputPort(name="input", shape=(sizes[0],), order="c", max_count=1, history=1)
    memory = {"flash": 0, "ram": 0, "stack": 1024}
    return Program(
        name="ad", board=load_board(board), input=port, layers=layers,
        outputs=(layers[-1].name,), dt=1.0, memory=memory, scales={},
    )  # fmt: skip


def _layer(name: str, source: str, weight: np.ndarray[tuple[int, int], np.dtype[np.int8]]) -> Layer:
    zero = np.zeros(weight.shape[1], dtype=np.int32)
    numbers = dict.fromkeys(("alpha", "bias", "leak", "threshold", "v_reset"), zero)
    neurons = held(
        Neurons(n=len(zero), number="int32", **family({**numbers, "shift": 0}, {})), NUMERICS
    )
    return Layer(
        name=name, shape=(weight.shape[1],), order="c",
        routes=(Route(source, 0, DenseTable(weight)),), neurons=neurons,
        accumulator_bits=32, saturate_v=False, saturate_i=False, history=1,
    )  # fmt: skip
