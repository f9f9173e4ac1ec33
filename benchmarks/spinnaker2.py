"""Speed of the SpiNNaker 2 emulator beside Brian2, which py-spinnaker2 simulates with.

Run: OPENBLAS_NUM_THREADS=1 SNNSTACK_DATA=FOLDER python benchmarks/spinnaker2.py [--rounds N]

Needs `pip install -e '.[benchmarks]'`; Brian2 compiles with Cython, and the first run of each
network, which compiles, is not counted. Two networks: the neural field of the chip's recording,
one run of 400 steps; the recurrent Braille network, 20 samples of 256 steps, which Brian2 runs
one after the other. Both sides run with one thread, interleaved; measured is the time of the
processor, so that other work on the machine counts for neither side. The table shows the best
of all rounds and the median ratio; a round is ten runs of the emulator and one of Brian2. Brian2
computes in float64: its spikes may differ.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.backends.spinnaker2.builder import ChipBuilder
from snnstack.backends.spinnaker2.network import ChipNetwork, ChipPopulation
from snnstack.board import load_board
from snnstack.compilers.spinnaker2 import compile
from snnstack.emulators.spinnaker2 import emulate_network
from snnstack.integers import quantise_for
from snnstack.ir.matrix import matrix
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.trace import Spikes

DATA = Path(os.environ.get("SNNSTACK_DATA") or "../shared/data")
SAMPLES = 20
REPEATS = 10


def main(arguments: list[str] | None = None) -> None:
    """Measure both networks and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    heads = ["network", "samples x steps", "spikes", "Brian2 spikes", "emulator, ms", "Brian2, ms"]
    print("| " + " | ".join([*heads, "faster"]) + " |\n" + "| --- " * (len(heads) + 1) + "|")
    for name, network, spikes in (field(), braille()):
        print("| " + " | ".join(row(name, network, spikes, options.rounds)) + " |", flush=True)


def row(name: str, network: ChipNetwork, spikes: Spikes, rounds: int) -> list[str]:
    """One line of the table."""
    rival = brian2(network, spikes)
    trace, other = emulate_network(network, spikes, threads=1), rival()
    total = sum(s.total for s in trace.spikes.values())
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        ours = seconds(lambda: emulate_network(network, spikes, threads=1), REPEATS)
        times.append((ours, seconds(rival)))
    alone, theirs = (min(column) for column in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    size = f"{spikes.batch} x {spikes.steps}"
    cells = [name, size, str(total), str(other), f"{alone * 1e3:.2f}", f"{theirs * 1e3:.0f}"]
    return [*cells, f"{ratio:.0f} x"]


def seconds(job: Callable[[], Any], repeats: int = 1) -> float:
    """Processor time that `job` takes."""
    start = time.process_time()
    for _ in range(repeats):
        job()
    return (time.process_time() - start) / repeats


def field() -> tuple[str, ChipNetwork, Spikes]:
    """The neural field, as it ran on the chip."""
    file = np.load(DATA / "recordings" / "spinnaker2_field_lif_curr_exp.npz")
    network = (
        ChipBuilder()
        .input("x", 400)
        .population("field", 400, "lif_curr_exp", threshold=10, alpha=0.8, exc_decay=0.5,
                    inh_decay=0.2, reset="subtract")
        .population("inhibitor", 1, "lif", threshold=5, i_offset=3)
        .connect("x", "field", 5 * np.eye(400))
        .connect("field", "field", file["field_to_field"].T)
        .connect("inhibitor", "field", np.full((400, 1), -4))
        .build()
    )  # fmt: skip
    spikes = Spikes.from_dense(file["input_spikes"][None].astype(np.uint8))
    return "neural field", network, spikes


def braille() -> tuple[str, ChipNetwork, Spikes]:
    """The recurrent network with reset to zero, by the rules of import."""
    options = Options(dt=1e-4, integrator="euler", reset="zero", events="binary")
    graph = load(DATA / "nir" / "braille_noDelay_bias_zero.nir", options)
    board = load_board("spinnaker2-chip")
    steps = discretised(graph, unit_gains=False)
    program = compile(quantise_for(steps, board, None, "import"), board)
    x = np.load(DATA / "braille" / "braille_validation.npz")["x"][:SAMPLES]
    return "Braille 12-38-7", program.network, Spikes.from_dense(x)


def brian2(network: ChipNetwork, spikes: Spikes) -> Callable[[], int]:
    """A function that runs all samples in Brian2 and returns the number of spikes."""
    import brian2 as b2

    b2.prefs.codegen.target = "cython"
    b2.defaultclock.dt = 1 * b2.ms
    source = b2.SpikeGeneratorGroup(spikes.n, [], [] * b2.ms)
    groups = {network.input.name: source}
    groups |= {p.name: _group(b2, p) for p in network.populations}
    synapses = [s for c in network.connections for s in _synapses(b2, network, c, groups)]
    monitors = [
        b2.SpikeMonitor(groups[p.name]) for p in network.populations if p.threshold is not None
    ]
    net = b2.Network(*groups.values(), *synapses, *monitors)
    net.store()
    dense = spikes.dense().reshape(spikes.batch, spikes.steps, spikes.n)
    events = [np.nonzero(sample) for sample in dense]

    def run() -> int:
        total = 0
        for step, neuron in events:
            net.restore()
            source.set_spikes(neuron, step * b2.ms)
            net.run(spikes.steps * b2.ms)
            total += sum(monitor.num_spikes for monitor in monitors)
        return total

    return run


def _group(b2: Any, p: ChipPopulation) -> Any:
    """Neurons with the equations of `ChipPopulation`, advanced once a step."""
    pair = p.exc_decay is not None
    state = "v:1\n up:1\n down:1\n ie:1\n ii:1\n"
    fixed = "alpha:1 (constant)\n offset:1 (constant)\n theta:1 (constant)\n after:1 (constant)\n"
    fixed += "exc:1 (constant)\n inh:1 (constant)"
    reset = "v -= theta" if p.reset == "subtract" else "v = after"
    group = b2.NeuronGroup(p.n, state + fixed, threshold="v >= theta", reset=reset)
    group.alpha, group.offset, group.after = p.alpha, p.i_offset, p.v_reset
    group.theta = np.inf if p.threshold is None else p.threshold
    if pair:
        group.exc, group.inh = p.exc_decay, p.inh_decay
        update = "ie = ie*exc + up\nii = ii*inh + down\nv = alpha*v + ie + ii + offset\n"
    else:
        update = "v = alpha*v + up + down + offset\n"
    group.run_regularly(update + "up = 0\ndown = 0", when="groups")
    if p.v_init is not None:
        group.v = p.v_init
    return group


def _synapses(b2: Any, network: ChipNetwork, c: Any, groups: Any) -> list[Any]:
    """Positive and negative weights apart; a spike arrives 1 + delay steps later.

    What reaches the sums after the update of a step counts in the next: one step is in that.
    """
    from snnstack.ir.matrix import pool_matrix

    weights = matrix(c.synapses, network.population(c.target).n)
    if c.pool is not None:
        weights = weights @ pool_matrix(c.pool)
    weights, found = weights.tocoo(), []
    for sign, name in ((1, "up"), (-1, "down")):
        chosen = np.sign(weights.data) == sign
        if chosen.any():
            made = b2.Synapses(groups[c.source], groups[c.target], "w:1", on_pre=f"{name} += w")
            made.connect(i=weights.col[chosen], j=weights.row[chosen])
            made.w, made.delay = weights.data[chosen], c.delay * b2.ms
            found.append(made)
    return found


if __name__ == "__main__":
    main()
