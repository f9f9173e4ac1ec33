"""Accuracy of a converted network against the number of steps, beside that of its ANN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.frontends.onnx_ann import converted
from snnstack.frontends.onnx_convert import PERCENTILE, Ann, AnnData, classes_of_ann, thresholds_of
from snnstack.ir.graph import Graph

STEPS = (1, 2, 4, 8, 16, 32, 64)
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
