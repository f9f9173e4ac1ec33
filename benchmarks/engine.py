"""Speed of the engine: synaptic operations per second, beside its limit and beside torch.

Run: OPENBLAS_NUM_THREADS=1 python benchmarks/engine.py [--samples N] [--steps N]

One layer of 1024 inputs and 1024 neurons, int8 weights, reset by subtraction, about as many
output spikes as input spikes; counting, neuron update and output events included.
"per core" is one thread; "row adds" is a plain Numba loop that only adds the weight rows of the
same events to an int32 accumulator, without neurons. torch simulates the same network in float32
and must give the same number of spikes: "by step" as training frameworks run it, "one product"
with the input current of all steps in one matrix product.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

import numba
import numpy as np

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.engine import run
from snnstack.engine.plan import DenseRows, Edge, LayerPlan, NetworkPlan
from snnstack.quant.numerics import INT32
from snnstack.trace import Spikes

N = 1024
ALPHA, THRESHOLD, SHIFT = 61440, 500, 8
THREADS = 2
ROUNDS = 7


def main(arguments: list[str] | None = None) -> None:
    """Measure at three input rates and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args(arguments)
    heads = ["input rate", "output rate", "G synops/s per core", "row adds, G/s per core"]
    heads += [f"G synops/s, {THREADS} threads", "torch by step, s", "torch one product, s"]
    heads += ["engine, s", "faster than torch by step", "than one product"]
    print("| " + " | ".join(heads) + " |\n" + "| --- " * len(heads) + "|")
    for rate in (0.01, 0.03, 0.1):
        print("| " + " | ".join(row(rate, options.samples, options.steps)) + " |", flush=True)


def row(rate: float, samples: int, steps: int) -> Iterable[str]:
    """One line of the table."""
    random = np.random.default_rng(0)
    weight = np.clip(np.round(random.normal(0, 30, (N, N))), -127, 127).astype(np.int8)
    dense = (random.random((samples, steps, N)) < rate).astype(np.uint8)
    spikes, plan = Spikes.from_dense(dense), network(weight)
    acc = np.zeros(N, dtype=np.int32)
    flat = weight.ravel()
    trace = run(plan, [spikes], threads=1)
    torch_runs = torch_simulations(dense, weight)
    agree(trace.spikes["layer"].total, [simulate() for simulate in torch_runs])
    rivals = [
        lambda: run(plan, [spikes], threads=1),
        lambda: add_rows(flat, spikes.indptr, spikes.indices, acc),
        lambda: run(plan, [spikes], threads=THREADS),
        *torch_runs,
    ]
    alone, limit, both, by_step, product = best(rivals)
    synops = int(trace.counts["layer"].synops.sum()) / 1e9
    yield f"{rate:.0%}"
    yield f"{trace.spikes['layer'].total / dense.size:.1%}"
    yield from (f"{synops / seconds:.1f}" for seconds in (alone, limit, both))
    yield from (f"{seconds:.3f}" for seconds in (by_step, product, both))
    yield from (f"{seconds / both:.1f} x" for seconds in (by_step, product))


def network(weight: Any) -> NetworkPlan:
    """One layer of integrate-and-fire neurons with leak."""
    values = {"alpha": ALPHA, "shift": SHIFT, "threshold": THRESHOLD << SHIFT}
    values |= {"state_max": INT32.state_max}
    neurons = Neurons(CUBA_LIF, N, "int32", values, {"reset": "subtract"})
    return NetworkPlan((N,), (LayerPlan("layer", N, (Edge(0, 0, DenseRows(weight)),), neurons),))


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def add_rows(weight: Any, indptr: Any, indices: Any, acc: Any) -> None:
    """The plain loop: for every event, add its row."""
    n = len(acc)
    for row in range(len(indptr) - 1):
        acc[:] = 0
        for k in range(indptr[row], indptr[row + 1]):
            values = weight[indices[k] * n : indices[k] * n + n]
            for j in range(n):
                acc[j] += values[j]


def torch_simulations(dense: Any, weight: Any) -> list[Callable[[], int]]:
    """The same network in torch, float32: step by step, and with one matrix product."""
    import torch

    torch.set_num_threads(THREADS)
    given = torch.from_numpy(dense).float()
    table = torch.from_numpy(weight).float()
    alpha = ALPHA / 65536

    def fire(current: Callable[[int], Any]) -> int:
        v = torch.zeros(dense.shape[0], N)
        fired = []
        for t in range(dense.shape[1]):
            v = alpha * v + current(t)
            s = (v > THRESHOLD).float()
            v = v - s * THRESHOLD
            fired.append(s)
        return int(torch.stack(fired, dim=1).sum(dtype=torch.int64))

    def by_step() -> int:
        with torch.no_grad():
            return fire(lambda t: given[:, t] @ table)

    def one_product() -> int:
        with torch.no_grad():
            currents = given @ table
            return fire(lambda t: currents[:, t])

    return [by_step, one_product]


def agree(ours: int, others: list[int]) -> None:
    """Integer decay rounds down, so the runs may differ by a few spikes in a thousand."""
    for other in others:
        if abs(other - ours) > 0.002 * max(ours, 1000):
            raise SystemExit(f"engine {ours} spikes, torch {other}: not the same network")


def best(rivals: list[Callable[[], Any]]) -> list[float]:
    """The shortest of several runs of each, taken in turn so that all see the same machine."""
    for rival in rivals:
        rival()
    found = [float("inf")] * len(rivals)
    for _ in range(ROUNDS):
        for k, rival in enumerate(rivals):
            start = time.perf_counter()
            rival()
            found[k] = min(found[k], time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
