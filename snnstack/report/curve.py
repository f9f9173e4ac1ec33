"""Accuracy of a converted network against steps, or the change sent, beside that of its ANN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.frontends.onnx_ann import converted
from snnstack.frontends.onnx_convert import (
    PERCENTILE,
    Ann,
    AnnData,
    classes_of_ann,
    thresholds_of,
)
from snnstack.frontends.sigma_delta import SigmaDelta
from snnstack.ir.graph import Graph

STEPS = (1, 2, 4, 8, 16, 32, 64)
THRESHOLDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
Classify = Callable[[Graph, AnnData], NDArray[np.int64]]


@dataclass(frozen=True)
class CurvePoint:
    """An inference of `steps` steps: share of right classes, and of classes as the ANN's."""

    steps: int
    accuracy: float | None
    agreement: float


@dataclass(frozen=True)
class Curve:
    """`accuracy_ann` and accuracies are None without labels."""

    samples: int
    accuracy_ann: float | None
    points: tuple[CurvePoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def curve(
    ann: Ann,
    calibrate: AnnData,
    test: AnnData,
    steps: Sequence[int],
    classify: Classify,
    percentile: float = PERCENTILE,
) -> Curve:
    """Convert for every number of steps, balanced on `calibrate`, and classify all of `test`."""
    thresholds = thresholds_of(ann, calibrate, percentile)
    expected, labels = classes_of_ann(ann, test), test.arrays.labels
    points = []
    for count in steps:
        graph = converted(ann.graph, ann.shape, thresholds, calibrate.given, count)
        found = classify(graph, test.with_steps(count))
        share = None if labels is None else float(np.mean(found == labels))
        points.append(CurvePoint(count, share, float(np.mean(found == expected))))
    right = None if labels is None else float(np.mean(expected == labels))
    return Curve(len(expected), right, tuple(points))


@dataclass(frozen=True)
class DeltaPoint:
    """A `threshold` in levels: share of right classes, of classes as the ANN's, events a sample."""

    threshold: float
    accuracy: float | None
    agreement: float
    events: float


@dataclass(frozen=True)
class DeltaCurve:
    """`accuracy_ann` and accuracies are None without labels; `levels` of every activation."""

    samples: int
    levels: int
    accuracy_ann: float | None
    points: tuple[DeltaPoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def delta_curve(
    ann: Ann,
    calibrate: AnnData,
    test: AnnData,
    kinds: Sequence[SigmaDelta],
    run: Callable[[Graph, AnnData], tuple[NDArray[np.int64], int]],
    percentile: float = PERCENTILE,
) -> DeltaCurve:
    """Convert for every kind, balanced on `calibrate`, and run all of `test`; both in levels."""
    thresholds = thresholds_of(ann, calibrate, percentile)
    expected, labels = classes_of_ann(ann, test), test.arrays.labels
    points = []
    for kind in kinds:
        graph = converted(
            ann.graph, ann.shape, thresholds, calibrate.given, calibrate.encoding.steps, kind
        )
        found, events = run(graph, test)
        share = None if labels is None else float(np.mean(found == labels))
        agreed = float(np.mean(found == expected))
        points.append(DeltaPoint(kind.threshold, share, agreed, events / len(expected)))
    right = None if labels is None else float(np.mean(expected == labels))
    return DeltaCurve(len(expected), kinds[0].levels, right, tuple(points))
