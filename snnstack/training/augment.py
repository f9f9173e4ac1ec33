"""Samples as they might as well have been: some events lost, all of them a little late or early."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.uint8]


def varied(x: Counts, drop: float, shift: float, rng: np.random.Generator) -> Counts:
    """A copy of `x` [sample, step, ...] with events lost and moved.

    A sample loses each event with a probability that is drawn from 0..`drop` (Gu et al.,
    "EventDrop", arXiv 2106.05836), and is moved by up to `shift` of its steps.
    """
    share = drop * rng.random((len(x), *[1] * (x.ndim - 1)))
    kept = rng.binomial(x, 1.0 - share).astype(np.uint8) if drop else x.copy()
    most = int(shift * x.shape[1])
    if not most:
        return kept
    for k, by in enumerate(rng.integers(-most, most + 1, len(x))):
        kept[k] = _moved(kept[k], int(by))
    return kept


def _moved(sample: Counts, by: int) -> Counts:
    """Later by `by` steps, earlier if negative; nothing comes in from outside."""
    out = np.zeros_like(sample)
    if by >= 0:
        out[by:] = sample[: len(sample) - by]
    else:
        out[:by] = sample[-by:]
    return out
