"""The scale of a population: weight units per threshold, and the exponents that go with it.

The largest scale that no register and no wrap of the current forbids loses least to rounding;
below it, one octave is searched for the scale whose steps fit the weights best.
"""

from __future__ import annotations

from dataclasses import dataclass
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

Wrap = Literal["cannot happen", "not expected"]


@dataclass(frozen=True)
class Drive:
    """What reaches a population, in thresholds per step: float64 [n] each.

    `low`, `high`: sums of all negative and positive input if every source sends at once;
    `mean`, `variance`: of the input, expected, constant currents included; `constant`: added
    to the membrane in every step.
    `alpha`, `beta`: decay factors (beta 0: no synaptic current).
    """

    low: Array
    high: Array
    mean: Array
    variance: Array
    constant: Array
    alpha: Array
    beta: Array


@dataclass(frozen=True)
class Part:
    """The weights of one sign mode of one projection: magnitudes in thresholds, importance."""

    projection: int
    signs: Signs
    magnitude: Array
    importance: Array


@dataclass(frozen=True)
class Scale:
    """`units` per threshold; `formats[projection]` by sign mode; whether u can wrap."""

    units: int
    formats: dict[tuple[int, Signs], Format]
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
        given = {(p.projection, p.signs): _best_format(p, units, bits)[1] for p in parts}
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
    low, high = HEADROOM
    room = float(np.clip(reach, low, high)) if fires else max(reach, low)
    return min(STATE_MAX / UNIT / room, float(LARGEST_THRESHOLD_MANTISSA))


def _current(drive: Drive) -> tuple[float, float]:
    """Largest scales at which u cannot wrap, and at which it is not expected to."""
    passed = 1.0 / np.maximum(1.0 - drive.beta, 1e-12)
    worst = float((np.maximum(-drive.low, drive.high) * passed).max(initial=0.0))
    spread = np.sqrt(drive.variance / np.maximum(1.0 - drive.beta**2, 1e-12))
    usual = float((np.abs(drive.mean) * passed + DEVIATIONS * spread).max(initial=0.0))
    limit = STATE_MAX / UNIT * (1.0 - 2.0**-6)  # rounding may add half a step to every weight
    return limit / max(worst, 1e-30), limit / max(usual, 1e-30)


def _search(parts: list[Part], most: int, bits: int) -> tuple[int, dict[tuple[int, Signs], Format]]:
    """Of the octave below `most`, the scale with the smallest expected error."""
    sampled = [_sample(part) for part in parts]
    tried = np.unique(np.geomspace(most // 2 + 1, most, CANDIDATES).astype(np.int64))
    best: tuple[float, int, dict[tuple[int, Signs], Format]] = (np.inf, most, {})
    for units in tried[::-1].tolist():
        error, formats = 0.0, {}
        for part in sampled:
            found, format = _best_format(part, units, bits)
            error += found
            formats[part.projection, part.signs] = format
        if error < best[0]:
            best = (error, units, formats)
    return best[1], best[2]


def _sample(part: Part) -> Part:
    if len(part.magnitude) <= SAMPLE:
        return part
    chosen = np.random.default_rng(0).integers(0, len(part.magnitude), SAMPLE)
    chosen[0] = int(part.magnitude.argmax())
    return Part(part.projection, part.signs, part.magnitude[chosen], part.importance[chosen])


def _best_format(part: Part, units: int, bits: int) -> tuple[float, Format]:
    """The exponent with the least error: the one that holds every weight, or a finer one."""
    holds_all = exponent_for(float(part.magnitude.max(initial=0.0)) * units, part.signs, bits)
    found = [
        (_error(part, units, Format(part.signs, e, bits)), Format(part.signs, e, bits))
        for e in range(max(holds_all - 2, 0), holds_all + 1)
    ]
    return min(found, key=lambda pair: pair[0])


def _error(part: Part, units: int, format: Format) -> float:
    step = format.step / units
    levels = np.minimum(np.rint(part.magnitude / step), format.most)
    return float(np.sum(part.importance * (levels * step - part.magnitude) ** 2))
