"""What a benchmark says of the network without spikes: its accuracy beside its cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from snnstack.energy.performance import Performance

UNTRAINED = "not trained: accuracy unknown"
SAME_CLASS = 0.01
"""Accuracies that are at most so far apart are of the same class."""


@dataclass(frozen=True)
class AnnFit:
    """What the opponent was made of, and how well it does on the samples of the benchmark.

    `accuracy`: of the int8 network, `accuracy_float` before rounding; None without labels or
    training. `given`: what it reads. `left_out`: what the spiking network has besides.
    `samples`: how many the accuracies are of.
    """

    widths: str
    given: str
    trained: str
    accuracy: float | None = None
    accuracy_float: float | None = None
    left_out: tuple[str, ...] = ()
    samples: int = 0

    def verdict(self, spiking: float | None) -> str:
        """How its accuracy stands to that of the spiking network, in words; "" if not known.

        A difference is one of class if it is above a point and above two standard errors.

        >>> AnnFit("64-10", "", "", 0.95, samples=1000).verdict(0.978)
        'less accurate than the spiking network by 2.8 points: not of the same class'
        >>> AnnFit("64-10", "", "", 0.95, samples=60).verdict(0.967)
        'less accurate than the spiking network by 1.7 points, which 60 samples cannot tell'
        """
        if self.accuracy is None or spiking is None:
            return ""
        by = abs(self.accuracy - spiking)
        if by <= SAME_CLASS + 1e-9:
            return "as accurate as the spiking network to within a point"
        word = "less" if self.accuracy < spiking else "more"
        found = f"{word} accurate than the spiking network by {100 * by:.1f} points"
        if by <= 2 * self._error(spiking):
            return f"{found}, which {self.samples} samples cannot tell"
        return f"{found}: not of the same class"

    def _error(self, spiking: float) -> float:
        """Standard error of the difference of two shares of so many samples."""
        shares = (self.accuracy or 0.0, spiking)
        return math.sqrt(sum(p * (1 - p) for p in shares) / max(self.samples, 1))


@dataclass(frozen=True)
class AnnResult:
    """The opponent on a board: `verified_samples` ran in its kernels there, of whose int8 outputs
    `mismatches` differ from those that the accuracy was counted with.
    """

    fit: AnnFit
    performance: Performance
    verified_samples: int
    mismatches: int

    def to_dict(self, spiking: float | None = None) -> dict[str, Any]:
        """For `--json`; `spiking`: the accuracy that it is held against."""
        cost, energy = self.performance, self.performance.energy.to_dict()
        return {
            "accuracy": self.fit.accuracy,
            "accuracy_float": self.fit.accuracy_float,
            "verdict": self.fit.verdict(spiking),
            "trained": self.fit.trained,
            "widths": self.fit.widths,
            "given": self.fit.given,
            "left_out": list(self.fit.left_out),
            "verified_samples": self.verified_samples,
            "mismatches": self.mismatches,
            "latency_ms": cost.latency.typical * 1e3,
            "energy_uj": energy["total_uj"],
            "energy_interval_uj": energy["interval_uj"],
            "basis": cost.basis,
            **dict(cost.counts),
        }
