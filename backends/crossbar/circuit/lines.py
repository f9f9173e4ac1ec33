"""Alternating line solve: all word lines, then all bit lines, again and again, accelerated.

With W (word lines given the bit lines' voltages) and B (the reverse), b <- B W b + c is a block
Gauss-Seidel iteration whose eigenvalues lie in [0, rho], rho < 1; Chebyshev's polynomials on
that interval speed it up. After a step only the word nodes violate Kirchhoff's law, each by
d = G (b_new - b). A current d put into word node (i, j) changes the column currents by
d T(i, j) in all, 0 <= T <= 1, so sum T |d| bounds the error of their sum, and of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from snnstack.backends.crossbar.circuit import line_kernels as kernels
from snnstack.backends.crossbar.circuit.array import Reals
from snnstack.errors import SnnstackError, ToolError, fail

CHUNK = 8
"""Vectors solved side by side: one row of eight is two vector registers."""

_PATIENCE = 60
"""Steps without a better bound after which rounding is taken to have the last word."""


@dataclass(frozen=True)
class Lines:
    """A passive grid ready to be solved for any drive: Thomas factors of every line.

    `g`, `pw`, `pb`, `weight`: [rows, cols, batch], the last being 1 for a grid that all vectors
    share. `rho` bounds the convergence factor of a plain step, `weight` is T G.
    """

    g: Reals
    row_seg: Reals
    col_seg: Reals
    pw: Reals
    pb: Reals
    rho: float
    weight: Reals


@dataclass(frozen=True)
class Voltages:
    """Node voltages [rows, cols, batch] with column currents [cols, batch] and their error."""

    word: Reals
    bit: Reals
    currents: Reals
    bound: Reals
    steps: int


def prepare_lines(
    g: Reals,
    row_seg: Reals,
    col_seg: Reals,
    rho: float | None = None,
    weight: Reals | None = None,
) -> Lines:
    """Factors of a grid `g` [rows, cols, batch]; `rho`, `weight`: taken instead of computed.

    A wrong `rho` costs steps, never correctness; `weight` must be an upper bound.
    """
    pw, pb = np.empty_like(g), np.empty_like(g)
    kernels.word_factors(g, row_seg, pw)
    kernels.bit_factors(g, col_seg, pb)
    plain = Lines(g, row_seg, col_seg, pw, pb, 0.0, g)
    estimate = _radius(plain) if rho is None else rho
    return replace(plain, rho=estimate, weight=_weight(plain) if weight is None else weight)


def one_word_line_each(lines: Lines) -> Reals:
    """T G as `Lines.weight`, with all bit lines at 0 V.

    It is an upper bound of the weight for any selection of the grid's rows.
    """
    rows, cols, batch = lines.g.shape
    word, _ = _steps(lines, np.ones((rows, batch)), np.zeros((rows, cols, batch)), 1)
    return np.ascontiguousarray(np.clip(1.0 - word, 0.0, 1.0) * lines.g)


def _steps(lines: Lines, v: Reals, b: Reals, count: int) -> tuple[Reals, Reals]:
    """(word, bit) voltages after `count` plain steps from `b`."""
    cur, word = np.empty_like(b), np.empty_like(b)
    out, bound = np.empty(b.shape[1:]), np.empty(b.shape[2])
    for _ in range(count):
        kernels.down(
            lines.g, _NONE, lines.pw, lines.pb, lines.row_seg, v, b, word, cur, out
        )  # fmt: skip
        kernels.up(lines.pb, lines.col_seg, cur, b, b, lines.weight, True, 1.0, 1.0, bound)
    return word, b


_NONE = np.empty((0, 0, 0))


def _radius(lines: Lines) -> float:
    """An upper bound of the convergence factor of a plain step.

    The iteration is nonnegative, so the largest growth of any entry of a positive vector bounds
    it (Collatz and Wielandt).
    """
    rows, cols, batch = lines.g.shape
    v, b = np.zeros((rows, batch)), np.ones((rows, cols, batch))
    best = 1.0
    for _ in range(12):
        _, after = _steps(lines, v, b.copy(), 1)
        growth = np.divide(after, b, out=np.zeros_like(b), where=b > 0)
        best = min(best, float(growth.max(initial=0.0)))
        top = float(after.max(initial=0.0))
        if best < 1e-3 or not top > 0:
            break
        b = after / top
    return min(best, 1.0 - 1e-12)


def _weight(lines: Lines) -> Reals:
    """T G: by reciprocity, T is 1 minus the word voltages with all drivers at 1 V.

    The iterates from zero rise to them, so stopping early makes T larger, still a bound.
    """
    rows, cols, batch = lines.g.shape
    word, _ = _steps(lines, np.ones((rows, batch)), np.zeros((rows, cols, batch)), 4)
    return np.ascontiguousarray(np.clip(1.0 - word, 0.0, 1.0) * lines.g)


def solve_lines(
    lines: Lines, v: Reals, tolerance: float, *, nodes: bool, limit: int = 3000,
    source: Reals = _NONE, start: Reals | None = None,
) -> Voltages:  # fmt: skip
    """Voltages and currents for drives `v` [rows, batch].

    The error of every column current is at most `bound`, and that at most `tolerance` times the
    vector's largest column current. Without `nodes`, `word` and `bit` are empty. Raises
    `ToolError` if the tolerance cannot be reached.
    """
    rows, cols, batch = *lines.g.shape[:2], v.shape[1]
    b = np.zeros((rows, cols, batch)) if start is None else start.copy()
    before, cur = b.copy(), np.empty((rows, cols, batch))
    word, out = np.empty((rows if nodes else 1, cols, batch)), np.empty((cols, batch))
    bound, gamma, omega = np.empty(batch), 2.0 / (2.0 - lines.rho), 1.0
    sigma, worst, waited = lines.rho / (2.0 - lines.rho), math.inf, 0
    for step in range(1, limit + 1):
        kernels.down(
            lines.g, source, lines.pw, lines.pb, lines.row_seg, v, b, word, cur, out
        )  # fmt: skip
        kernels.up(
            lines.pb, lines.col_seg, cur, b, before, lines.weight, False, gamma, omega, bound
        )  # fmt: skip
        allowed = tolerance * np.abs(out).max(axis=0)
        if (bound <= allowed).all():
            break
        ratio = float((bound / np.maximum(allowed, 1e-300)).max())
        waited = 0 if ratio < 0.9 * worst else waited + 1
        worst = min(worst, ratio)
        if waited == _PATIENCE or step == limit:
            raise _not_converged(lines, tolerance, worst * tolerance, step)
        b, before = before, b
        omega = 1.0 / (1.0 - sigma**2 / 2) if step == 1 else 1.0 / (1.0 - sigma**2 * omega / 4)
    if nodes:
        kernels.up(lines.pb, lines.col_seg, cur, b, b, lines.weight, True, 1.0, 1.0, bound)
    bound += _rounding(lines, v, source)
    return Voltages(word if nodes else _NONE, b if nodes else _NONE, out, bound, step)


def _rounding(lines: Lines, v: Reals, source: Reals) -> Reals:
    """What rounding does to sums of terms of one sign, [batch]: currents without any wire."""
    most = np.einsum("ijk,ik->jk", lines.g, np.abs(v))
    if source.size:
        most = most + np.abs(source).sum(axis=0)
    eps = float(np.finfo(float).eps)
    largest: Reals = most.max(axis=0)
    return 8 * eps * sum(lines.g.shape[:2]) * largest


def _not_converged(lines: Lines, tolerance: float, reached: float, steps: int) -> SnnstackError:
    rows, cols, _ = lines.g.shape
    what = (
        f"{rows}x{cols} array did not converge to a relative error of {tolerance:.1e}: "
        f"{reached:.1e} after {steps} steps (factor {lines.rho:.6f} a step)"
    )
    hint = "use method='transfer', which does not iterate, or a larger tolerance"
    return fail(ToolError, "line solve", what, hint)
