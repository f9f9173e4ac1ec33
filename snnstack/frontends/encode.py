"""Encoders: real images and sensor windows become spikes, each sample by itself, seeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Counts = NDArray[np.uint8]


@dataclass(frozen=True)
class Encoding:
    """How values become spikes. Values are first brought to 0..1: `(x - low) / (high - low)`.

    rate     a spike in a step with probability `gain * x`: Bernoulli, seeded per sample
    even     `gain * x * steps` spikes, spread evenly: the same each time
    latency  one spike, the earlier the larger: step `round((1 - x) (steps - 1))`; none where x
             is below `threshold`
    repeat   the count `round(x * levels)` in every step: constant input, for few steps
    delta    of a window [time, channel]: a spike on the rising or falling channel whenever the
             value has moved by `threshold` since the last one; time is not changed, and the
             result is [time, 2, channel]
    """

    kind: str
    steps: int = 1
    gain: float = 1.0
    low: float = 0.0
    high: float = 1.0
    threshold: float = 0.0
    levels: int = 1
    seed: int = 0


def shape_of(encoding: Encoding, sample: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(steps, shape of one step) of an encoded sample."""
    if encoding.kind == "delta":
        return sample[0], (2, *sample[1:])
    return encoding.steps, sample


def encoded(encoding: Encoding, samples: NDArray[np.generic], first: int) -> Counts:
    """uint8 [sample, step, ...] of values [sample, ...]; `first` is the first sample's number.

    A sample's spikes depend on its values, its number and the seed alone: batches of any size
    give the same.
    """
    scaled = (np.asarray(samples, dtype=np.float64) - encoding.low) / (encoding.high - encoding.low)
    parts = [_ENCODERS[encoding.kind](encoding, x, first + k) for k, x in enumerate(scaled)]
    return np.stack(parts)


def _rate(encoding: Encoding, x: Real, number: int) -> Counts:
    rng = np.random.default_rng([encoding.seed, number])
    fires: Counts = (rng.random((encoding.steps, *x.shape)) < encoding.gain * x).astype(np.uint8)
    return fires


def _even(encoding: Encoding, x: Real, number: int) -> Counts:
    """A spike whenever the running sum passes the next half-integer."""
    t = np.arange(encoding.steps + 1).reshape(-1, *(1,) * x.ndim)
    # A nudge that is far below one spike keeps sums such as 5 * 0.1 from landing beside 0.5.
    total = np.floor(np.minimum(encoding.gain * x, 1.0) * t + 0.5 + 1e-9)
    return np.diff(total, axis=0).astype(np.uint8)


def _latency(encoding: Encoding, x: Real, number: int) -> Counts:
    step = np.rint((1.0 - np.clip(x, 0.0, 1.0)) * (encoding.steps - 1)).astype(np.int64)
    t = np.arange(encoding.steps).reshape(-1, *(1,) * x.ndim)
    fires = x > 0 if encoding.threshold == 0 else x >= encoding.threshold
    return np.asarray((t == step) & fires, dtype=np.uint8)


def _repeat(encoding: Encoding, x: Real, number: int) -> Counts:
    count = np.rint(np.clip(x, 0.0, 1.0) * encoding.levels).astype(np.uint8)
    return np.repeat(count[None], encoding.steps, axis=0)


def _delta(encoding: Encoding, x: Real, number: int) -> Counts:
    """Send on delta, one spike a step and direction at most; the level follows by a threshold."""
    out = np.zeros((len(x), 2, *x.shape[1:]), dtype=np.uint8)
    level = x[0].copy()
    for t in range(1, len(x)):
        up, down = x[t] - level >= encoding.threshold, level - x[t] >= encoding.threshold
        out[t, 0], out[t, 1] = up, down
        level += encoding.threshold * (up.astype(np.float64) - down)
    return out


_ENCODERS: Mapping[str, Callable[[Encoding, Real, int], Counts]] = {
    "rate": _rate,
    "even": _even,
    "latency": _latency,
    "repeat": _repeat,
    "delta": _delta,
}
ENCODERS = tuple(_ENCODERS)
