"""Which read-out a module itself uses, found by comparing its result with its own spikes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snnstack.report.readout import OVER_TIME

Real = NDArray[np.float64]
NEAR = 1e-4
"""Share of the largest value by which a result in single precision may differ."""


def told(result: Real, sent: Real, fires: bool) -> str | None:
    """The read-out by which `result` [sample, class] comes of `sent` [sample, step, neuron].

    `sent` are spikes, or membranes of an output that does not fire. None where no read-out, or
    more than one, gives the result: then nothing is certain.
    """
    classes, neurons = result.shape[1], sent.shape[2]
    if neurons % classes or classes < 2 or not np.isfinite(result).all():
        return None
    group = "" if classes == neurons else f":{classes}"
    found = [
        kind
        for kind, values in _candidates(sent, fires)
        if _same(result, values.reshape(len(values), classes, -1).sum(axis=2))
    ]
    return f"{found[0]}{group}" if len(found) == 1 else None


def _candidates(sent: Real, fires: bool) -> Iterator[tuple[str, Real]]:
    if fires:
        yield "rate", sent.sum(axis=1)
        return
    for kind in ("last", "max", "sum", "softmax"):  # a mean is a sum times a number
        yield kind, OVER_TIME[kind](sent)


def _same(result: Real, wanted: Real) -> bool:
    """Equal but for a positive factor, or for a (log) softmax behind it."""
    if not np.ptp(wanted):
        return False
    factor = float((result * wanted).sum() / (wanted * wanted).sum())
    if factor > 0 and _near(result, factor * wanted):
        return True
    total = np.exp(np.clip(result, -700, 50)).sum(axis=1)
    log = result if np.allclose(total, 1.0, atol=NEAR) else None
    if np.all(result > 0) and np.allclose(result.sum(axis=1), 1.0, atol=NEAR):
        log = np.log(result)
    return log is not None and _near(_centred(log), _centred(wanted))


def _near(found: Real, wanted: Real) -> bool:
    return bool(np.abs(found - wanted).max() <= NEAR * np.abs(wanted).max())


def _centred(values: Real) -> Real:
    return np.asarray(values - values.mean(axis=1, keepdims=True))
