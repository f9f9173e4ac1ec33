"""A trained linear read-out: class scores are a matrix times the output's counts, plus a bias.

Ridge regression of the classes (1 for the right one, else 0) on what `usual_scores` gives: spikes
of each output neuron, or its membrane summed over the steps. The penalty is the one of `PENALTIES`
with the least leave-one-out error, which ridge regression has in closed form (D. M. Allen,
Technometrics 16, 1974): residual / (1 - leverage).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, ModelError, fail

Real = NDArray[np.float64]
FIT = "readout_fit"
"""Setting and metadata that hold a fitted read-out as text."""
PENALTIES = tuple(10.0**k for k in range(-4, 4))
"""Of standardised features, by their number of samples."""
BITS, LARGEST = 8, 127
"""Of the weights of the fixed-point form; its sums and biases have 32 bits."""


@dataclass(frozen=True, eq=False)
class Linear:
    """`weight` [class, neuron] and `bias` [class]; `samples` it was fitted on, from `source`.

    `moved`: on how many of them the fixed-point form finds another class.
    """

    weight: Real
    bias: Real
    samples: int = 0
    source: str = ""
    moved: int = 0

    def scores(self, features: Real) -> Real:
        """[sample, class] of features [sample, neuron]."""
        return np.asarray(features @ self.weight.T + self.bias)

    def __str__(self) -> str:
        """The text that `linear_of` takes: every number exactly."""
        plain = {"weight": self.weight.tolist(), "bias": self.bias.tolist()}
        more = {"samples": self.samples, "source": self.source, "moved": self.moved}
        return json.dumps({**plain, **more})

    def cost(self) -> str:
        """What it takes on the target, where it is computed in integers, in words."""
        classes, neurons = self.weight.shape
        return (
            f"linear read-out of {classes} classes from {neurons} outputs, fitted on "
            f"{self.samples} samples of {self.source or 'data'}: on the target "
            f"{classes * neurons:,} multiply-accumulates an inference and "
            f"{classes * (neurons + 4):,} bytes, with {BITS}-bit weights and 32-bit sums, which "
            f"are not in latency, energy and memory; another class than in floats for "
            f"{self.moved} of these samples"
        )


def linear_of(text: Any) -> Linear:
    """The read-out in a text; ModelError where it is damaged."""
    try:
        plain = json.loads(text)
        weight, bias = (np.array(plain[k], dtype=np.float64) for k in ("weight", "bias"))
        found = Linear(weight, bias, int(plain["samples"]), str(plain["source"]), plain["moved"])
        whole = weight.ndim == 2 and weight.shape[0] == len(bias) > 1 and bias.ndim == 1
        if not whole or not np.isfinite(weight).all() or not np.isfinite(bias).all():
            raise ValueError("no matrix [class, neuron] with a bias for each class")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise fail(ModelError, FIT, f"is no fitted read-out: {error}", "fit it again") from error
    return found


def fitted_in(settings: Mapping[str, Any]) -> Linear | None:
    """What was fitted and kept, if anything was."""
    return linear_of(settings[FIT]) if FIT in settings else None


def fit(features: Real, labels: NDArray[np.int64], source: str = "") -> Linear:
    """The read-out of features [sample, neuron] for labels 0 and up.

    DataError where there are no two classes to tell apart.
    """
    where = source or "training samples"
    if len(np.unique(labels)) < 2 or labels.min() < 0:
        what = "has labels of fewer than two classes" if labels.min() >= 0 else "has labels below 0"
        raise fail(DataError, where, what, "a linear read-out is fitted to labelled samples")
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    wanted = np.eye(int(labels.max()) + 1)[labels]
    offset = wanted.mean(axis=0)
    weight = _ridge((features - mean) / scale, wanted - offset).T / scale
    found = Linear(weight, offset - weight @ mean, len(labels), source)
    other = fixed_classes(found, features) != found.scores(features).argmax(axis=1)
    return Linear(found.weight, found.bias, found.samples, source, int(np.sum(other)))


def _ridge(x: Real, y: Real) -> Real:
    """[feature, class]: with the penalty of the least leave-one-out error."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    projected, best = u.T @ y, (np.inf, np.zeros(len(s)))
    for penalty in PENALTIES:
        gain = s**2 / (s**2 + penalty * len(x))
        leverage = 1 / len(x) + (u**2) @ gain  # the mean was taken out
        left_out = (y - u @ (gain[:, None] * projected)) / (1 - leverage)[:, None]
        error = float(np.mean(left_out**2))
        if error < best[0]:
            best = (error, s / (s**2 + penalty * len(x)))
    return np.asarray(vt.T @ (best[1][:, None] * projected))


def fixed_point(linear: Linear) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(weights of `BITS` bits, biases in their unit): one scale for all classes."""
    unit = max(float(np.abs(linear.weight).max(initial=0.0)), 1e-30) / LARGEST
    bias = np.clip(np.rint(linear.bias / unit), -(2**31), 2**31 - 1)
    return np.rint(linear.weight / unit).astype(np.int64), bias.astype(np.int64)


def fixed_classes(linear: Linear, features: Real) -> NDArray[np.int64]:
    """[sample]: the class that integers find; features are rounded, as counts already are."""
    weight, bias = fixed_point(linear)
    return np.asarray((np.rint(features) @ weight.T + bias).argmax(axis=1))
