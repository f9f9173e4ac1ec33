"""The scale of a population: weight units per threshold, and the exponents that go with it.

The largest scale that no register and no wrap of the current forbids loses least to rounding;
below it, one octave is searched for the scale whose steps fit the weights best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from snnstack.backends.loihi.formats import Format, exponent_for
from snnstack.backends.loihi.numerics import LARGEST_WEIGHT
from snnstack.backends.loihi.registers import (
    LARGEST_BIAS,
    LARGEST_THRESHOLD_MANTISSA,
    LARGEST_WEIGHT_EXPONENT,
    STATE_MAX,
    WEIGHT_SHIFT,
)
from snnstack.backends.loihi.weights import Signs
from snnstack.ir.nodes import Array
from snnstack.quant.lost import deaf
from snnstack.quant.outliers import FEW_APART, MOST_APART
from snnstack.quant.scales import Weights

UNIT = 1 << WEIGHT_SHIFT
"""State units in one weight unit."""
CANDIDATES = 32
"""Scales tried in the octave."""
SAMPLE = 1 << 19
"""Weights that the search looks at; more would not change its choice."""
LEAST_UNITS = 256
"""Weight units per threshold below which proving that u cannot wrap would cost accuracy."""
DEVIATIONS = 8.0
"""Standard deviations of the expected current that must fit where the worst case does not."""
HEADROOM = (16.0, 128.0)
"""Thresholds that the membrane's range must hold at least, and at most."""
INTEGRATOR_STEPS = 300.0
"""Steps over which a membrane without leak is taken to drift."""

COARSE = 1 / 16
"""A row of full width whose weights change by more than this share (root mean square) is coarse."""
LEAST_GAP = 4
"""Between the exponents of two connections with fewer bits than that."""
BITS = 8
"""The full width of a stored weight."""

Wrap = Literal["cannot happen", "not expected"]


@dataclass(frozen=True)
class Drive:
    """What reaches a population, in thresholds per step: float64 [n] each.

    `low`, `high`: sums of all negative and positive input if every source sends at once;
    `mean`, `variance`: of the input, expected, constant currents included; `constant`: added
    to the membrane in every step.
    `alpha`, `beta`: decay factors (beta 0: no synaptic current). `threshold`: the largest one,
    where they are not all 1.
    """

    low: Array
    high: Array
    mean: Array
    variance: Array
    constant: Array
    alpha: Array
    beta: Array
    threshold: float = 1.0


@dataclass(frozen=True)
class Part:
    """The weights of one sign mode of one projection: magnitudes in thresholds, importance.

    `drive`: what each brings in a step, expected; `charge`: what a spike brings in all, in
    thresholds a weight. `row`: which neurons (a channel's) it belongs to. `apart`: whether there
    is room for a second connection.
    """

    projection: int
    signs: Signs
    magnitude: Array
    importance: Array
    drive: Array
    row: Array
    charge: float = 1.0
    apart: bool = True


@dataclass(frozen=True)
class Scale:
    """`units` per threshold; `formats[projection]` by sign mode; whether u can wrap.

    Two formats, the finer first: weights that it cannot hold are stored in the other.
    """

    units: int
    formats: dict[tuple[int, Signs], tuple[Format, ...]]
    wrap: Wrap


def choose(
    drive: Drive,
    parts: list[Part],
    fires: bool,
    cap: float = np.inf,
    bits: int = 8,
    units: int | None = None,
) -> Scale | None:
    """The best scale up to `cap`; None if even one unit per threshold is more than fits.

    Weights of fewer than 8 `bits` get larger exponents. With `units` given only the formats are
    chosen.
    """
    largest = max((float(p.magnitude.max(initial=0.0)) for p in parts), default=0.0)
    limit = min(_membrane(drive, fires), _constants(drive), _heaviest(bits) / max(largest, 1e-30))
    proven, expected = _current(drive)
    wrap: Wrap = "cannot happen"
    if proven < min(limit, LEAST_UNITS):
        wrap, proven = "not expected", expected
    most = int(min(limit, proven, cap))
    if units is not None:
        given = {(p.projection, p.signs): _best_formats(p, units, bits)[1] for p in parts}
        return Scale(units, given, "cannot happen" if units <= proven else "not expected")
    if most < 1:
        return None
    units, formats = _search(parts, most, bits)
    return Scale(units, formats, wrap)


def _heaviest(bits: int) -> int:
    """The largest weight of that many bits, in weight units."""
    return (
        LARGEST_WEIGHT
        if bits == 8
        else Format("excitatory", LARGEST_WEIGHT_EXPONENT, bits).most << LARGEST_WEIGHT_EXPONENT
    )


def _constants(drive: Drive) -> float:
    largest = float(np.abs(drive.constant).max(initial=0.0))
    return LARGEST_BIAS / UNIT / largest if largest else np.inf


def _membrane(drive: Drive, fires: bool) -> float:
    """So that the threshold fits its register and the expected membrane its range."""
    passed = 1.0 / np.maximum(1.0 - drive.beta, 1e-6)
    kept = 1.0 / np.maximum(1.0 - drive.alpha, 1.0 / INTEGRATOR_STEPS)
    mean = np.abs(drive.mean * passed + drive.constant) * kept
    spread = np.sqrt(drive.variance) * passed * np.sqrt(kept)
    reach = float((mean + DEVIATIONS * spread).max(initial=0.0))
    low, high = (bound * drive.threshold for bound in HEADROOM)
    room = float(np.clip(reach, low, high)) if fires else max(reach, low)
    room = min(room, _proven_reach(drive) + drive.threshold)
    return min(STATE_MAX / UNIT / room, LARGEST_THRESHOLD_MANTISSA / drive.threshold)


def _proven_reach(drive: Drive) -> float:
    """What the membrane can reach whatever is sent, resets left aside; inf without a leak."""
    leaving = (1.0 - drive.alpha) * np.maximum(1.0 - drive.beta, 1e-12)
    most = np.maximum(-drive.low, drive.high) + np.abs(drive.constant) * (1.0 - drive.beta)
    reach = np.where(leaving > 0, most / np.where(leaving > 0, leaving, 1.0), np.inf)
    return float(reach.max(initial=0.0))


def _current(drive: Drive) -> tuple[float, float]:
    """Largest scales at which u cannot wrap, and at which it is not expected to."""
    passed = 1.0 / np.maximum(1.0 - drive.beta, 1e-12)
    worst = float((np.maximum(-drive.low, drive.high) * passed).max(initial=0.0))
    spread = np.sqrt(drive.variance / np.maximum(1.0 - drive.beta**2, 1e-12))
    usual = float((np.abs(drive.mean) * passed + DEVIATIONS * spread).max(initial=0.0))
    limit = STATE_MAX / UNIT * (1.0 - 2.0**-6)  # rounding may add half a step to every weight
    return limit / max(worst, 1e-30), limit / max(usual, 1e-30)


def _search(
    parts: list[Part], most: int, bits: int
) -> tuple[int, dict[tuple[int, Signs], tuple[Format, ...]]]:
    """Of the octave below `most`, the scale with the smallest expected error."""
    sampled = [_weighed(_sample(part), most, bits) for part in parts]
    spread = np.geomspace(most // 2 + 1, most, CANDIDATES).astype(np.int64)
    whole = 1 << (most.bit_length() - 1)  # holds weights that are binary fractions exactly
    tried = np.unique([*spread, whole])
    best: tuple[float, int, dict[tuple[int, Signs], tuple[Format, ...]]] = (np.inf, most, {})
    for units in tried[::-1].tolist():
        error, formats = 0.0, {}
        for part in sampled:
            found, formats[part.projection, part.signs] = _best_formats(part, units, bits)
            error += found
        if error < best[0]:
            best = (error, units, formats)
    return best[1], best[2]


def _sample(part: Part) -> Part:
    if len(part.magnitude) <= SAMPLE:
        return part
    chosen = np.random.default_rng(0).integers(0, len(part.magnitude), SAMPLE)
    chosen[0] = int(part.magnitude.argmax())
    return replace(
        part,
        magnitude=part.magnitude[chosen],
        importance=part.importance[chosen],
        drive=part.drive[chosen],
        row=part.row[chosen],
    )


def _weighed(part: Part, units: int, bits: int) -> Part:
    """Where two formats are needed, every row counts by its own size: small ones matter too."""
    if len(_best_formats(part, units, bits)[1]) == 1:
        return part
    power = _row_sums(part, part.importance * part.magnitude**2)
    return replace(part, importance=part.importance / np.maximum(power, 1e-300)[part.row])


def _row_sums(part: Part, values: Array) -> Array:
    return np.bincount(part.row, values)


def _best_formats(part: Part, units: int, bits: int) -> tuple[float, tuple[Format, ...]]:
    """The exponent with the least error: the one that holds every weight, or a finer one.

    Where that makes weights 0 that neurons live on, the best two of which one holds every weight.
    """
    holds_all = exponent_for(float(part.magnitude.max(initial=0.0)) * units, part.signs, bits)
    one = [(Format(part.signs, e, bits),) for e in range(max(holds_all - 2, 0), holds_all + 1)]
    best = min(((_error(part, units, f), f) for f in one), key=lambda pair: pair[0])
    if not part.apart or not holds_all or not suffers(part, units, best[1][0]):
        return best
    coarse = Format(part.signs, holds_all, bits)
    two = [(Format(part.signs, e, bits), coarse) for e in range(holds_all)]
    if bits < BITS:
        two = [f for f in two if _few(part, units, f)]
    found = [(_error(part, units, f), f) for f in two]
    return min(found, key=lambda pair: pair[0]) if found else best


def _few(part: Part, units: int, formats: tuple[Format, ...]) -> bool:
    """Whether few weights are huge: all others being coarse is what fewer bits mean."""
    fine, coarse = formats
    over = np.count_nonzero(part.magnitude * units >= (fine.most + 0.5) * fine.step)
    allowed = max(MOST_APART * len(part.magnitude), FEW_APART)
    return bool(over <= allowed) and coarse.exponent - fine.exponent >= LEAST_GAP


def suffers(part: Part, units: int, format: Format) -> bool:
    """Whether weights that become 0 are missed (`snnstack.quant.lost`), or a row is too coarse."""
    if format.bits == BITS:
        power = _row_sums(part, part.importance * part.magnitude**2)
        step, most = step_of(part.magnitude * units, (format,))
        change = np.minimum(np.rint(part.magnitude * units / step), most) * step / units
        moved = _row_sums(part, part.importance * (change - part.magnitude) ** 2)
        if np.any(moved > COARSE**2 * power):
            return True
    weights = Weights(part.magnitude, part.row, part.drive, part.importance)
    lost = (part.magnitude > 0) & (part.magnitude * units < 0.5 * format.step)
    need = np.full(int(part.row.max(initial=-1)) + 1, 1.0 / part.charge)
    return bool(lost.any() and deaf(weights, lost, need).any())


def step_of(magnitude: Array, formats: tuple[Format, ...]) -> tuple[Array, Array]:
    """For every weight in units, the step and the largest level of the format that holds it."""
    fine, coarse = formats[0], formats[-1]
    held = magnitude < (fine.most + 0.5) * fine.step
    return np.where(held, fine.step, coarse.step), np.where(held, fine.most, coarse.most)


def _error(part: Part, units: int, formats: tuple[Format, ...]) -> float:
    step, most = step_of(part.magnitude * units, formats)
    levels = np.minimum(np.rint(part.magnitude * units / step), most)
    return float(np.sum(part.importance * (levels * step / units - part.magnitude) ** 2))
