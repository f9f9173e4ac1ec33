"""Alternating line solve: all word lines, then all bit lines, again and again, accelerated.

With W (word lines given the bit lines' voltages) and B (the reverse), b <- B W b + c is a block
Gauss-Seidel iteration whose eigenvalues lie in [0, rho], rho < 1; its slowest modes are left out
of the first error (`deflation`), and Chebyshev's polynomials on the interval of the others speed
it up. After a step only the word nodes violate Kirchhoff's law, each by
d = G (b_new - b). A current d put into word node (i, j) changes the column currents by
d T(i, j) in all, 0 <= T <= 1, so sum T |d| bounds the error of their sum, and of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from snnstack.backends.crossbar.circuit import line_kernels as kernels
from snnstack.backends.crossbar.circuit.array import Reals
from snnstack.backends.crossbar.circuit.deflation import Modes, find_modes
from snnstack.errors import SnnstackError, ToolError, fail

CHUNK = kernels.LANES
"""Vectors solved side by side, of those that share their conductances."""

LIMIT = 5000
"""Steps in all."""

_PATIENCE = 4
"""Cycles without a better bound after which rounding is taken to have the last word."""


@dataclass(frozen=True)
class Lines:
    """A passive grid ready to be solved for any drive: Thomas factors of every line.

    `g`, `pw`, `pb`, `weight`: [rows, cols, batch], the last being 1 for a grid that all vectors
    share. `weight` is T G. `rho` is the largest eigenvalue of a step, as far as it is known;
    `modes` the slowest ones, where they pay.
    """

    g: Reals
    row_seg: Reals
    col_seg: Reals
    pw: Reals
    pb: Reals
    weight: Reals
    rho: float
    modes: Modes | None = None


@dataclass(frozen=True)
class Voltages:
    """Node voltages [rows, cols, batch] with column currents [cols, batch] and their error."""

    word: Reals
    bit: Reals
    currents: Reals
    bound: Reals
    steps: int


def factor_lines(g: Reals, row_seg: Reals, col_seg: Reals, rho: float, weight: Reals) -> Lines:
    """Factors of a grid `g` [rows, cols, batch].

    A wrong `rho` costs steps, never correctness; `weight` must be an upper bound of T G.
    """
    pw, pb = np.empty_like(g), np.empty_like(g)
    kernels.word_factors(g, row_seg, pw)
    kernels.bit_factors(g, col_seg, pb)
    return Lines(g, row_seg, col_seg, pw, pb, weight, rho)


def prepare_lines(g: Reals, row_seg: Reals, col_seg: Reals) -> Lines:
    """Factors, modes and weights of a grid `g` [rows, cols] that all vectors share."""
    shared = np.ascontiguousarray(g[:, :, None])
    plain = factor_lines(shared, row_seg, col_seg, 0.0, shared)
    rows, cols = g.shape

    def step(b: Reals) -> tuple[Reals, Reals]:
        return _steps(plain, np.zeros((rows, b.shape[2])), b.copy(), 1)

    reach, _ = _steps(plain, np.ones((rows, 1)), np.zeros((rows, cols, 1)), 1)
    modes = find_modes(g, step, reach[:, :, 0])
    return replace(plain, weight=_weight(plain), rho=modes.slowest, modes=modes)


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


def _weight(lines: Lines) -> Reals:
    """T G: by reciprocity, T is 1 minus the word voltages with all drivers at 1 V.

    The iterates from zero rise to them, so stopping early makes T larger, still a bound.
    """
    rows, cols, batch = lines.g.shape
    word, _ = _steps(lines, np.ones((rows, batch)), np.zeros((rows, cols, batch)), 4)
    return np.ascontiguousarray(np.clip(1.0 - word, 0.0, 1.0) * lines.g)


def solve_lines(
    lines: Lines, v: Reals, tolerance: float, *, nodes: bool, source: Reals = _NONE
) -> Voltages:
    """Voltages and currents for drives `v` [rows, batch].

    The error of every column current is at most `bound`, and that at most `tolerance` times the
    vector's largest column current. Without `nodes`, `word` and `bit` are empty. Raises
    `ToolError` if the tolerance cannot be reached.
    """
    modes = None if source.size else lines.modes
    b = np.zeros((*lines.g.shape[:2], v.shape[1])) if modes is None else modes.start(v)
    sweep = _Sweep.of(lines, v, source, b, nodes)
    rest, steps, ratios = lines.rho if modes is None else modes.rest, 0, [math.inf]
    while True:
        count = math.ceil(5 + 3 / math.sqrt(1 - rest))
        taken, ratio = sweep.cycle(rest, count, tolerance)
        steps += taken
        if ratio <= 1:
            return sweep.result(steps)
        if steps > LIMIT or (len(ratios) > _PATIENCE and min(ratios[-_PATIENCE:]) <= ratio):
            raise _not_converged(lines, tolerance, min([ratio, *ratios]) * tolerance, steps)
        if ratio > 0.1 * ratios[-1]:
            rest = 1 - max((1 - rest) / 2, (1 - lines.rho) / 4)
        ratios.append(ratio)
        sweep.restart(modes)


@dataclass
class _Sweep:
    """The arrays of one solve: `b` the bit voltages, `before` those of one step earlier."""

    lines: Lines
    v: Reals
    source: Reals
    b: Reals
    before: Reals
    cur: Reals
    word: Reals
    out: Reals
    bound: Reals

    @classmethod
    def of(cls, lines: Lines, v: Reals, source: Reals, b: Reals, nodes: bool) -> _Sweep:
        rows, cols, batch = b.shape
        word = np.empty((rows if nodes else 1, cols, batch))
        out, bound = np.empty((cols, batch)), np.empty(batch)
        return cls(lines, v, source, b, b.copy(), np.empty_like(b), word, out, bound)

    def cycle(self, rest: float, count: int, tolerance: float) -> tuple[int, float]:
        """(steps, largest bound per what is allowed) of at most `count` Chebyshev steps."""
        gamma, sigma, omega, ratio = 2 / (2 - rest), rest / (2 - rest), 1.0, math.inf
        for step in range(1, count + 1):
            self.down()
            self.up(False, gamma, omega)
            allowed = tolerance * np.abs(self.out).max(axis=0)
            over = self.bound / np.maximum(allowed, np.finfo(float).tiny)
            ratio = float(over.max(initial=0.0))
            if ratio <= 1 or step == count:
                return step, ratio
            self.b, self.before = self.before, self.b
            omega = 1 / (1 - sigma**2 / 2) if step == 1 else 1 / (1 - sigma**2 * omega / 4)
        return count, ratio

    def down(self) -> None:
        part = self.lines
        kernels.down(
            part.g, self.source, part.pw, part.pb, part.row_seg, self.v, self.b, self.word,
            self.cur, self.out,
        )  # fmt: skip

    def up(self, keep: bool, gamma: float, omega: float) -> None:
        part = self.lines
        kernels.up(
            part.pb, part.col_seg, self.cur, self.b, self.before, part.weight, keep, gamma, omega,
            self.bound,
        )  # fmt: skip

    def restart(self, modes: Modes | None) -> None:
        """A plain step, and the slowest modes taken out of what it leaves."""
        old = self.b.copy()
        self.up(True, 1.0, 1.0)
        if modes is not None:
            self.b = modes.correct(old, self.b)
        self.before = self.b.copy()

    def result(self, steps: int) -> Voltages:
        nodes = self.word.shape[0] == self.b.shape[0]
        if nodes:
            self.up(True, 1.0, 1.0)
        bound = self.bound + _rounding(self.lines, self.v, self.source)
        word, bit = (self.word, self.b) if nodes else (_NONE, _NONE)
        return Voltages(word, bit, self.out, bound, steps)


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
