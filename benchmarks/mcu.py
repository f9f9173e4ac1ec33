"""Instructions per inference of the emitted firmware, counted in QEMU, beside published peers.

Run: python benchmarks/mcu.py [--boards NAME ...] [--part dense|conv|all]

The reference shape is 784-128-10, leaky integrate-and-fire, 25 steps, int8 weights, input
spikes in 5 % and 20 % of all (element, step) pairs. The weights are random, with the spread and
the slightly negative mean that training leaves; the thresholds are such that about a tenth of
the hidden neurons fire per step at the 5 % rate (the measured rate is printed). The network goes
through a NIR file and the defaults of `snnstack compile`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snnstack import api
from snnstack.backends.mcu.ann import crossing_rate
from snnstack.backends.mcu.footprint import measured
from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.run import run
from snnstack.passes.options import Options
from snnstack.trace import Spikes

STEPS, DT = 25, 1e-3
RATES = (0.05, 0.20)
BOARDS = (
    "nucleo-l4r5zi", "nucleo-h7a3zi-q", "nucleo-u575zi-q", "nucleo-l152re", "rpi-pico",
    "microbit-v1", "mps3-an547", "hifive1-revb",
)  # fmt: skip


def reference_shape(folder: Path) -> Path:
    """A NIR file of 784-128-10 with random weights."""
    random = np.random.default_rng(0)
    tau = 10e-3
    hidden = random.normal(-0.0004, 0.06, (128, 784)) / (DT / tau)
    out = random.normal(0.0, 0.2, (10, 128)) / (DT / tau)
    nodes: dict[str, Any] = {
        "input": nir.Input(input_type={"input": np.array([784])}),
        "fc1": nir.Linear(weight=hidden.astype(np.float32)),
        "hidden": lif(128, tau),
        "fc2": nir.Linear(weight=out.astype(np.float32)),
        "out": lif(10, tau),
        "output": nir.Output(output_type={"output": np.array([10])}),
    }
    names = list(nodes)
    nir.write(folder / "mlp.nir", nir.NIRGraph(nodes, list(pairwise(names))))
    return folder / "mlp.nir"


def lif(n: int, tau: float) -> nir.LIF:
    """Neurons with threshold 1 and reset to 0."""
    one = np.ones(n, dtype=np.float32)
    return nir.LIF(tau=tau * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)


PEERS = (
    ("CMSIS-NN, int8 network without spikes", "cortex-m4 / m3 / m0 / m55",
     "0.198 / 0.349 / 0.627 / 0.050 M", "the same"),
    ("emlearn, MLP without spikes", "cortex-m4", "0.614 M", "the same"),
    ("snn2mcu, spiking, from NIR", "cortex-m4", "1.07 M", "3.38 M"),
    ("dense plain C, spiking", "cortex-m4", "12.98 M", "12.98 M"),
)  # fmt: skip
"""Others on the same shape, measured elsewhere with their own tools: instructions."""


def dense_rows(
    boards: Iterable[str], model: Path, weight_bits: int | None = None
) -> Iterable[tuple[str, ...]]:
    """One line of the table per board."""
    random = np.random.default_rng(1)
    given = [
        Spikes.from_dense((random.random((4, STEPS, 784)) < rate).astype(np.uint8))
        for rate in RATES
    ]
    for board in boards:
        built = api.compile(model, board, options=Options(dt=DT), weight_bits=weight_bits)
        program = measured(built)
        traces = [run(program, spikes) for spikes in given]
        counted = [
            np.sum([c.other["instructions"] for c in trace.counts.values()], axis=0).mean()
            for trace in traces
        ]
        rates = [trace.spikes["hidden"].total / (4 * STEPS * 128) for trace in traces]
        state = plan(program).state_bytes
        yield (
            board, program.board.hardware["core"], f"{program.settings['weight_bits']} bit",
            *(f"{n / 1e6:.3f} M" for n in counted),
            " / ".join(f"{rate:.1%}" for rate in rates),
            f"{program.memory['flash'] / 1024:.1f} KB", f"{state / 1024:.2f} KB",
        )  # fmt: skip


def crossing(board: str, model: Path) -> tuple[str, ...]:
    """Where the network without spikes of the same shape needs as many instructions."""
    found = crossing_rate(api.compile(model, board, options=Options(dt=DT)), STEPS)
    if found.rate is None or found.spikes_per_input is None:
        rates = ("at every rate", "-")
    else:
        rates = (f"{100 * found.rate:.1f} %", f"{found.spikes_per_input:.2f}")
    return (board, f"{found.ann_instructions:,}", *rates)


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A Markdown table, line by line."""
    print("| " + " | ".join(heads) + " |\n" + "| --- " * len(heads) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", nargs="*", default=BOARDS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        model = reference_shape(Path(name))
        heads = ("board", "core", "weights", "5 %", "20 %", "hidden rate", "flash of the self-test",
                 "RAM of the state")  # fmt: skip
        rows = dense_rows(options.boards, model)
        low = (dense_rows(options.boards[-2:], model, bits) for bits in (4, 2, 1))
        table(heads, chain(rows, *low))
        print("\nmeasured elsewhere, the same shape:\n")
        table(("kernel", "core", "5 %", "20 %"), PEERS)
        print("\nan int8 network without spikes; the input rate below which spikes need less:\n")
        heads = ("board", "instructions without spikes", "rate below which spikes need less",
                 "spikes per input")  # fmt: skip
        table(heads, (crossing(board, model) for board in options.boards))


if __name__ == "__main__":
    main()
