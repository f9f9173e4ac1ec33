"""The slowest modes of the alternating line solve, removed from the error before it starts.

The iteration b <- M b + c of `lines` is self-adjoint in the inner product of the bit lines'
matrix A, and A M x = G W(x), W(x) being the word voltages for bit voltages x with all drivers at
0 V. A few smooth vectors, iterated and rotated (Rayleigh and Ritz), give its largest
eigenvalues; the best start in their span leaves an error that lies in the faster modes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snnstack.backends.crossbar.circuit.array import Reals

_COUNT, _ROUNDS = 16, 3

Step = Callable[[Reals], tuple[Reals, Reals]]
"""Bit voltages to (word voltages, next bit voltages), all drivers at 0 V; batch last."""


@dataclass(frozen=True)
class Modes:
    """`slowest`: the largest eigenvalue; `rest`: that of what a start from `start` leaves.

    `shapes` [rows, cols, modes] are orthonormal in A, with eigenvalues `values`; `duals` are A
    times them. `gains` [modes, rows] give their share in the solution per volt of each driver.
    """

    slowest: float
    rest: float
    values: Reals
    shapes: Reals
    duals: Reals
    gains: Reals

    def start(self, v: Reals) -> Reals:
        """Bit voltages [rows, cols, batch] for drives `v` [rows, batch]."""
        return np.ascontiguousarray(self.shapes @ (self.gains @ v))

    def correct(self, b: Reals, after: Reals) -> Reals:
        """A better start than `after`, which a plain step has made of `b`."""
        missing = _products(self.duals, after - b)
        factor = self.values / (1.0 - self.values)
        return np.ascontiguousarray(after + self.shapes @ (factor[:, None] * missing))


def find_modes(g: Reals, step: Step, reach: Reals) -> Modes:
    """Modes of the grid `g` [rows, cols]; `reach`: word voltages, drivers at 1 V, bits at 0 V."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # threads wait for each other longer than they work
        return _find(g, step, reach)


def _find(g: Reals, step: Step, reach: Reals) -> Modes:
    word, after = step(_smooth(*g.shape))
    shapes, duals, values = word, after, np.zeros(0)
    for number in range(_ROUNDS):
        weighted = after * g[:, :, None]
        further, next_after = step(after)
        values, mix = _ritz(_products(weighted, word), _products(weighted, further))
        if number == _ROUNDS - 1:
            shapes, duals = _mixed(after, mix), _mixed(word * g[:, :, None], mix)
            break
        word, after = _mixed(further, mix), _mixed(next_after, mix)
    shares = np.einsum("ijp,ij->pi", shapes, g * reach)
    values = np.clip(values, 0.0, 1.0 - 1e-12)
    rest = float(values[-1]) if len(values) == _COUNT else 0.0
    gains = shares / (1.0 - values)[:, None]
    return Modes(float(values.max(initial=0.0)), rest, values, shapes, duals, gains)


def _products(one: Reals, other: Reals) -> Reals:
    """Sums over all nodes: [modes of one, modes of the other]."""
    return np.asarray(np.tensordot(one, other, ((0, 1), (0, 1))), np.float64)


def _mixed(shapes: Reals, mix: Reals) -> Reals:
    rows, cols, count = shapes.shape
    return (shapes.reshape(rows * cols, count) @ mix).reshape(rows, cols, mix.shape[1])


def _smooth(rows: int, cols: int) -> Reals:
    """Products of quarter waves: zero at the drivers (left) and at the grounds (below)."""
    count = min(_COUNT, rows * cols)
    orders = sorted(
        ((p, q) for p in range(min(rows, count)) for q in range(min(cols, count))),
        key=lambda pq: ((2 * pq[0] + 1) ** 2 * cols**2 + (2 * pq[1] + 1) ** 2 * rows**2, pq),
    )[:count]
    p, q = (2 * np.array(orders).T + 1) * np.pi / 2
    down = np.sin((rows - np.arange(rows))[:, None] / (rows + 0.5) * p)
    right = np.sin((np.arange(cols) + 1)[:, None] / (cols + 0.5) * q)
    return np.ascontiguousarray(down[:, None, :] * right[None, :, :])


def _ritz(gram: Reals, image: Reals) -> tuple[Reals, Reals]:
    """(eigenvalues falling, mixing matrix) of image x = value gram x where gram is not zero."""
    sizes, basis = np.linalg.eigh((gram + gram.T) / 2)
    good = sizes > sizes.max(initial=0.0) * 1e-13
    basis = basis[:, good] / np.sqrt(sizes[good])
    inner = basis.T @ ((image + image.T) / 2) @ basis
    values, turn = np.linalg.eigh(inner)
    return values[::-1].copy(), np.ascontiguousarray((basis @ turn)[:, ::-1])
