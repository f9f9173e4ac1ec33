"""Circuits of a 256x256 differential pair: sparse LU with its factor reused, lines, transfer.

One run, one thread, interleaved repetitions; the smallest time of each counts. The vectors are
64 spike patterns, half of the rows on; 2 ohm a segment, cells of 20 to 200 kohm.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as sparse_linalg

from snnstack.backends.crossbar.circuit import Array, Circuit, Wires

ROWS, COLS, VECTORS, REPEATS = 256, 256, 64, 3
OHM, VOLT, TOLERANCE = 2.0, 0.2, 1e-6


def nodal_matrix(array: Array) -> sparse.csc_matrix:
    """The conductance matrix of a passive array: word nodes, then bit nodes."""
    g, (rows, cols) = array.g, array.g.shape
    word = np.arange(rows * cols).reshape(rows, cols)
    bit = word + rows * cols
    ends = [
        (word[:, :-1], word[:, 1:], 1 / array.wires.row), (bit[:-1], bit[1:], 1 / array.wires.col),
        (word, bit, g),
    ]  # fmt: skip
    one = np.concatenate([a.ravel() for a, _, _ in ends])
    other = np.concatenate([b.ravel() for _, b, _ in ends])
    value = np.concatenate([np.broadcast_to(y, a.shape).ravel() for a, _, y in ends])
    own = np.zeros(2 * rows * cols)
    own[word[:, 0]] += 1 / array.wires.row
    own[bit[-1]] += 1 / array.wires.col
    np.add.at(own, one, value)
    np.add.at(own, other, value)
    off = sparse.coo_matrix((-value, (one, other)), shape=(len(own), len(own)))
    return (off + off.T + sparse.diags(own)).tocsc()


class SparseLU:
    """The opponent: SuperLU in its symmetric mode, which fills in least of its orderings."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.factor = sparse_linalg.splu(
            nodal_matrix(array),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def currents(self, drive: np.ndarray) -> np.ndarray:
        """Column currents [batch, cols] for `drive` [batch, rows]."""
        rows, cols = self.array.g.shape
        right = np.zeros((2 * rows * cols, len(drive)))
        right[np.arange(rows) * cols] = drive.T / self.array.wires.row
        return self.factor.solve(right)[-cols:].T / self.array.wires.col


@dataclass
class Clock:
    """The shortest time of each piece of work."""

    best: dict[str, float] = field(default_factory=dict)

    def __call__(self, name: str, work: Callable[[], object]) -> object:
        """What `work` returns."""
        start = time.perf_counter()
        made = work()
        taken = time.perf_counter() - start
        self.best[name] = min(taken, self.best.get(name, taken))
        return made


def one_round(pair: list[Array], drive: np.ndarray, clock: Clock) -> dict[str, float]:
    """All methods once; the errors against the transfer matrix, by method."""
    lu = clock("LU factor", lambda: [SparseLU(half) for half in pair])
    by_lu = clock("LU solves", lambda: [half.currents(drive) for half in lu])
    lines = [Circuit(half, "lines", TOLERANCE) for half in pair]
    by_lines = clock("lines, factors and solves", lambda: [half.currents(drive) for half in lines])
    clock("lines, solves", lambda: [half.currents(drive) for half in lines])
    built = [Circuit(half, "transfer") for half in pair]
    plus, minus = clock("transfer, build", lambda: [half.transfer().matrix for half in built])
    matrix = plus - minus
    for _ in range(20):
        clock("transfer, product", lambda: drive @ matrix)
    exact = np.array([half.currents(drive) for half in built])
    return {
        f"error of {name}": float(np.abs(np.array(found) - exact).max() / np.abs(exact).max())
        for name, found in (("LU", by_lu), ("lines", by_lines))
    }


def measure() -> dict[str, float]:
    """Seconds by name, and the largest errors."""
    rng = np.random.default_rng(0)
    g = rng.uniform(1 / 200e3, 1 / 20e3, (2, ROWS, COLS))
    pair = [Array(half, "passive", Wires(row=OHM, col=OHM)) for half in g]
    drive = VOLT * (rng.random((VECTORS, ROWS)) < 0.5)
    Circuit(pair[0], "lines", TOLERANCE).currents(drive[:8])  # compiles
    Circuit(Array(g[0, :9, :9], "passive", pair[0].wires)).transfer()
    clock, errors = Clock(), {}
    for _ in range(REPEATS):
        errors = one_round(pair, drive, clock)
    return clock.best | errors


def main() -> None:
    """Markdown tables: times, ratios that are promised, errors."""
    found = measure()
    print(f"{ROWS}x{COLS} differential pair, {VECTORS} vectors, {OHM:g} ohm, 20 kohm minimum:\n")
    print("| one thread | time, s | error, relative |\n| --- | --- | --- |")
    for name, value in found.items():
        if not name.startswith("error"):
            error = found.get(f"error of {name.partition(' ')[0].rstrip(',')}", "")
            shown = f"{error:.1e}" if isinstance(error, float) and "solves" in name else "-"
            print(f"| {name} | {value:.5f} | {shown} |")
    lu, lines = found["LU solves"], found["lines, solves"]
    whole, prepared = lu + found["LU factor"], found["lines, factors and solves"]
    print("\n| sparse LU / lines | x, faster |\n| --- | --- |")
    print(f"| factors excluded | {lu / lines:.1f}x |")
    print(f"| factors included | {whole / prepared:.1f}x |")
    print(f"| included in lines only | {lu / prepared:.1f}x |")
    print(f"| product of the transfer matrix | {lu / found['transfer, product']:.0f}x |")


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # read once, when numpy is loaded
        os.execve(
            sys.executable, [sys.executable, *sys.argv], os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        )
    main()
