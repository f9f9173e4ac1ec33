"""Speed of the Loihi emulator beside Intel's Lava, on the same network and the same spikes.

Run: OPENBLAS_NUM_THREADS=1 python benchmarks/loihi.py [--rounds N] [--samples N]

784-256-10 with Loihi 2 registers and random weights, input spikes in 5 % of all (element, step)
pairs, 100 steps a sample. "Lava, runtime": Lava's own processes (LIF, Dense, ring buffers, no
monitors) in its runtime; the start is not counted, further runs of the started network are.
"Lava, models": the classes PyLifModelBitAcc and PyDenseModelBitAcc stepped in one process,
without runtime. "Emulator": `emulate` of the compiled program, all counts included, on one
thread and on all. Spikes of all are compared first. Every round measures all of them in turn;
the table shows the median round, and the slowest ratio of a round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from snnstack.backends.loihi.builder import ChipBuilder
from snnstack.backends.loihi.lava_job import make_job
from snnstack.backends.loihi.network import ChipNetwork
from snnstack.board import load_board
from snnstack.compilers.loihi import compile_chip
from snnstack.emulators.loihi import emulate
from snnstack.trace import Spikes

STEPS, RATE = 100, 0.05
LAVA_STEPS = 600
"""Of one timed run of Lava; the emulator runs as many samples as it is given."""
REPEATS = 7
"""Timed runs of each in a round; the fastest of them counts, as others use the machine too."""


def network() -> ChipNetwork:
    """Weights and thresholds such that about a twentieth of the hidden neurons fires per step."""
    random = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        return 2 * np.clip(random.normal(0, 25, shape), -127, 127).astype(np.int64)

    return (
        ChipBuilder(generation=2)
        .input("x", 784)
        .population("hidden", 256, du=4095, dv=400, vth_mant=900)
        .population("out", 10, du=4095, dv=400, vth_mant=450)
        .connect("x", "hidden", weight(256, 784))
        .connect("hidden", "out", weight(10, 256))
        .build()
    )


def given(samples: int, steps: int) -> Any:
    """uint8 [sample, step, 784]."""
    random = np.random.default_rng(1)
    return (random.random((samples, steps, 784)) < RATE).astype(np.uint8)


def lava_child() -> None:
    """In a process of its own: steps per second of both kinds of run, and the output spikes."""
    from snnstack.backends.loihi.lava_worker import load_lava

    load_lava()
    data = given(1, LAVA_STEPS)[0]
    models, spikes = stepped_models(data)
    print(json.dumps({"models": models, "runtime": runtime(data), "spikes": spikes}), flush=True)


def runtime(data: Any) -> float:
    """Steps per second of Lava's runtime, from further runs of a started network."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import Dense
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.lif.process import LIF

    net, shapes = network(), [256, 10]
    source = Source(data=data.T.astype(np.int32))
    layers, last = [], source
    for n, c, vth in zip(shapes, net.connections, (900, 450), strict=True):
        synapses = Dense(weights=np.asarray(c.synapses.weight), num_weight_bits=8)
        neurons = LIF(shape=(n,), du=4095, dv=400, vth=vth)
        last.s_out.connect(synapses.s_in)
        synapses.a_out.connect(neurons.a_in)
        layers.append(neurons)
        last = neurons
    sink = Sink(shape=(10,), buffer=LAVA_STEPS)
    last.s_out.connect(sink.a_in)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    last.run(condition=RunSteps(num_steps=200), run_cfg=config)
    best = fastest(lambda: last.run(condition=RunSteps(num_steps=LAVA_STEPS), run_cfg=config))
    last.stop()
    return LAVA_STEPS / best


def stepped_models(data: Any) -> tuple[float, list[int]]:
    """Steps per second of Lava's model classes, stepped here; and the spikes of the output."""
    from lava.proc.dense.models import PyDenseModelBitAcc
    from lava.proc.dense.process import Dense
    from lava.proc.lif.models import PyLifModelBitAcc
    from lava.proc.lif.process import LIF

    from snnstack.backends.loihi.lava_worker import instance

    net, parts = network(), []
    for n, c, vth in zip((256, 10), net.connections, (900, 450), strict=True):
        weight = np.asarray(c.synapses.weight)
        synapses = instance(Dense(weights=weight, num_weight_bits=8), PyDenseModelBitAcc, {})
        neurons = instance(LIF(shape=(n,), du=4095, dv=400, vth=vth), PyLifModelBitAcc, {})
        parts.append((synapses, neurons))
    fired: list[int] = []

    def run() -> None:
        for step in data:
            for synapses, neurons in parts:  # what arrives was sent in the step before
                neurons.a_in.value = synapses.a_buff
                neurons.run_spk()
            sent = step
            for synapses, neurons in parts:
                synapses.s_in.value, synapses.time_step = sent, 0
                synapses.run_spk()
                sent = neurons.s_out_buff
            fired.append(int(sent.sum()))

    return len(data) / fastest(run), fired[: len(data)]


def lava() -> dict[str, Any]:
    """What `lava_child` prints."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), "--lava"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=600, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found


def emulator(program: Any, spikes: Spikes, threads: int | None) -> float:
    """Steps per second, all samples together."""
    best = fastest(lambda: emulate(program, spikes, threads=threads))
    return spikes.batch * spikes.steps / best


def fastest(run: Callable[[], Any]) -> float:
    """Seconds of the fastest of some runs."""
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def agree(program: Any, spikes: list[int]) -> None:
    """Stops the benchmark if the emulator's output is not Lava's."""
    ours = emulate(program, Spikes.from_dense(given(1, LAVA_STEPS))).spikes["out"].dense()
    if ours[0].sum(axis=1).tolist() != spikes:
        raise SystemExit("the emulator's spikes are not those of Lava's models")


def main(arguments: list[str] | None = None) -> None:
    """Measure in rounds and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--lava", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.lava:
        lava_child()
        return
    make_job(network(), given(1, 1).astype(np.int64), "runtime")  # Lava can hold all of it
    program = compile_chip(network(), load_board("oheo-gulch"))
    spikes = Spikes.from_dense(given(options.samples, STEPS))
    rounds = []
    for number in range(options.rounds):
        theirs = lava()
        if not number:
            agree(program, theirs["spikes"])
        rounds.append((theirs, emulator(program, spikes, 1), emulator(program, spikes, None)))
    heads = ["", "steps/s", "of Lava's runtime", "lowest of runtime", "of Lava's models"]
    heads += ["lowest of models"]
    print("| " + " | ".join(heads) + " |\n" + "| --- " * len(heads) + "|")
    rows = [
        ("Lava, runtime", [r[0]["runtime"] for r in rounds]),
        ("Lava, models", [r[0]["models"] for r in rounds]),
        ("emulator, one thread", [r[1] for r in rounds]),
        ("emulator, all threads", [r[2] for r in rounds]),
    ]
    for name, speeds in rows:
        cells = [name, f"{median(speeds):,.0f}"]
        for kind in ("runtime", "models"):
            ratio = [s / r[0][kind] for s, r in zip(speeds, rounds, strict=True)]
            cells += [f"{median(ratio):.1f}", f"{min(ratio):.1f}"]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
