"""Time and memory to place a million neurons and a hundred million synapses on Loihi boards.

Run: python benchmarks/loihi_mapping.py

"sparse": ten populations of 100,000 neurons in a chain, each neuron with 100 synapses to
neighbours in the next population. "random": the same with targets anywhere in the next
population, which no board of generation 1 has axons for. "conv": maps of 32 channels, 3 x 3
kernels, in a chain; generation 2 shares their weights. Compiling covers rules, partition,
placement and routing; every case runs in a process of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

from snnstack.backends.loihi.network import ChipInput, ChipNetwork, Connection, Cuba
from snnstack.backends.loihi.store import utilization
from snnstack.board import load_board
from snnstack.compilers.loihi import compile_chip
from snnstack.ir.step import Conv, Sparse, size

CASES = (("sparse", "nahuku-32"), ("sparse", "hala-point"), ("random", "hala-point"),
         ("conv", "kapoho-point"))  # fmt: skip
LAYERS, NEURONS, FAN = 10, 100_000, 100
CHANNELS, SIDE, MAPS = 32, 100, 4


def population(name: str, shape: tuple[int, ...]) -> Cuba:
    """Neurons of the same registers."""
    one = np.ones(size(shape), dtype=np.int64)
    return Cuba(name, shape, one * 4096, one * 128, one * 0, one * 6400)


def sparse(generation: int, near: bool = True) -> ChipNetwork:
    """A chain of populations, each neuron joined to neighbours (or any neurons) of the next."""
    random, names = np.random.default_rng(0), [f"p{k}" for k in range(LAYERS)]
    indptr = np.arange(NEURONS + 1, dtype=np.int64) * FAN
    first = np.arange(NEURONS)[:, None] - FAN // 2 + np.arange(FAN)
    if not near:
        first = random.integers(0, NEURONS, (NEURONS, FAN))
    target = np.sort(first % NEURONS, axis=1).astype(np.int32).ravel()
    connections = []
    for source, name in zip(["x", *names], names, strict=False):
        weight = random.integers(1, 128, len(target))
        wires = Sparse(indptr, target, weight)
        connections.append(Connection(source, name, wires, signs="excitatory"))
    return ChipNetwork(
        generation,  # type: ignore[arg-type]
        ChipInput("x", (NEURONS,)),
        tuple(population(name, (NEURONS,)) for name in names),
        tuple(connections),
        (names[-1],),
    )


def conv(generation: int) -> ChipNetwork:
    """A chain of maps of together 1.28 million neurons and 369 million synapses."""
    random, names = np.random.default_rng(0), [f"c{k}" for k in range(MAPS)]
    plane = (CHANNELS, SIDE, SIDE)
    connections = []
    for source, name in zip(["x", *names], names, strict=False):
        weight = 2 * random.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3))
        wires = Conv(weight, plane, plane, (1, 1), (1, 1), (1, 1), 1)
        connections.append(Connection(source, name, wires))
    return ChipNetwork(
        generation,  # type: ignore[arg-type]
        ChipInput("x", plane),
        tuple(population(name, plane) for name in names),
        tuple(connections),
        (names[-1],),
    )


def synapses(network: ChipNetwork) -> int:
    """How many there are, those of shared weights one by one."""
    total = 0
    for c in network.connections:
        share = size(c.synapses.out_shape[1:]) if isinstance(c.synapses, Conv) else 1
        total += int(c.synapses.weight.size) * share
    return total


def child(kind: str, name: str) -> None:
    """One case, in this process: a line of JSON."""
    board = load_board(name)
    generation = int(board.hardware["generation"])
    network = conv(generation) if kind == "conv" else sparse(generation, kind == "sparse")
    begin = time.perf_counter()
    program = compile_chip(network, board)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    neurons = sum(p.n for p in network.populations)
    cores = utilization(program)["cores"]
    print(json.dumps([kind, name, neurons, synapses(network), *cores, seconds, peak]))


def main() -> None:
    """Every case in turn; a Markdown table."""
    if len(sys.argv) == 3:
        child(*sys.argv[1:])
        return
    print("| network | board | neurons | synapses | cores | seconds | peak GB |")
    print("| --- " * 7 + "|")
    for case in CASES:
        done = subprocess.run(
            [sys.executable, __file__, *case], capture_output=True, text=True, check=True
        )
        kind, board, neurons, count, used, there, seconds, peak = json.loads(done.stdout)
        cores = f"{used:,} of {there:,}"
        numbers = f"{neurons:,} | {count:,} | {cores} | {seconds:.1f} | {peak:.2f}"
        print(f"| {kind} | {board} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
