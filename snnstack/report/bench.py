"""One row of a benchmark: a network on a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnstack.energy.performance import Performance
from snnstack.report.equality import Equality


@dataclass(frozen=True)
class BenchRow:
    """Means per inference over `samples`; None where labels, or a float network, are missing.

    `spike_agreement`: share of (sample, step, neuron) slots equal to the float network's;
    `class_agreement`: share of samples with the same class; `bit_exact`: emulator equals the
    independent run on every spike and state of `verified.samples` samples.
    """

    board: str
    target: str
    samples: int
    steps: int
    accuracy: float | None
    accuracy_float: float | None
    spike_agreement: float | None
    class_agreement: float | None
    bit_exact: bool
    verified: Equality
    performance: Performance
    synops: float
    updates: float
    spikes: float
    memory: Mapping[str, Mapping[str, int]]
    board_status: str
    settings: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: flat, with units in the names."""
        cost, energy = self.performance, self.performance.energy
        latency = {k: v * 1e3 for k, v in cost.latency.to_dict().items()}
        return {
            "board": self.board,
            "target": self.target,
            "samples": self.samples,
            "steps": self.steps,
            "accuracy": self.accuracy,
            "accuracy_float": self.accuracy_float,
            "spike_agreement": self.spike_agreement,
            "class_agreement": self.class_agreement,
            "bit_exact": self.bit_exact,
            "verified": self.verified.to_dict(),
            "latency_ms": latency["typical"],
            "latency_band_ms": latency,
            "energy_uj": energy.total.to_dict(),
            "energy_interval_uj": energy.to_dict()["interval_uj"],
            "dynamic_uj": energy.dynamic.typical,
            "static_uj": energy.static.typical,
            "io_uj": energy.io.typical,
            "energy": energy.to_dict(),
            "basis": cost.basis,
            **dict(cost.counts),
            "synops": self.synops,
            "updates": self.updates,
            "spikes": self.spikes,
            "memory": {name: dict(value) for name, value in self.memory.items()},
            "board_status": self.board_status,
            "settings": dict(self.settings),
        }
