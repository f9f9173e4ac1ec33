"""One row of a benchmark: a network on a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from snnstack.energy.model import Band
from snnstack.energy.performance import Performance
from snnstack.errors import Problem
from snnstack.report.chips import Chips
from snnstack.report.clipping import Clipped, clipping_dict
from snnstack.report.dead import Dead
from snnstack.report.equality import Equality
from snnstack.report.operations import Operations
from snnstack.report.opponent import AnnResult

CORES = ("cores", "elements", "processing_elements", "tiles", "arrays", "crossbars")
"""What the parts of a chip that hold neurons are called among a program's resources."""


@dataclass(frozen=True)
class BenchRow:
    """Means per inference over `samples`; None where labels, or a float network, are missing.

    `spike_agreement`: share of (sample, step, neuron) slots equal to the float network's;
    `class_agreement`: share of samples with the same class; `bit_exact`: emulator equals the
    independent run on every spike and state of `verified.samples` samples, None if there was
    none. `ann`: a network
    of the same shape without spikes on the same board, where one was asked for.
    `chips`: accuracies of seeded chips of an analogue target; `clipped`: what the converters of
    all drawn chips together clipped, by tile. `dead`: output neurons that never
    spike. `memory_basis`: what `memory` was linked by, or
    that it is a bound. `figures`: what a page shows besides, plain data.
    """

    board: str
    target: str
    samples: int
    steps: int
    accuracy: float | None
    accuracy_float: float | None
    spike_agreement: float | None
    class_agreement: float | None
    bit_exact: bool | None
    verified: Equality
    performance: Performance
    synops: float
    updates: float
    spikes: float
    memory: Mapping[str, Mapping[str, int]]
    board_status: str
    settings: Mapping[str, Any]
    operations: Operations | None
    title: str = ""
    period_s: float | None = None
    ann: AnnResult | None = None
    chips: Chips | None = None
    clipped: tuple[Clipped, ...] = ()
    dead: tuple[Dead, ...] = ()
    notes: tuple[str, ...] = ()
    memory_basis: str = ""
    figures: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def cores(self) -> tuple[int, int]:
        """(used, available): of the first of `CORES` that the board has; else its one core."""
        for name in CORES:
            if name in self.memory:
                return self.memory[name]["used"], self.memory[name]["available"]
        return 1, 1

    @property
    def utilisation(self) -> dict[str, float]:
        """Share of every resource that is used, 0 to 1."""
        return {k: v["used"] / v["available"] for k, v in self.memory.items() if v["available"]}

    @property
    def throughput(self) -> Band:
        """Inferences per second, one after the other; at most one per `period_s`."""
        least = self.period_s or 0.0
        seconds = (max(value, least) for value in reversed(self.performance.latency))
        return Band(*(1 / s if s > 0 else 0.0 for s in seconds))

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: flat, with units in the names."""
        cost, energy = self.performance, self.performance.energy
        latency = {k: v * 1e3 for k, v in cost.latency.to_dict().items()}
        used, available = self.cores
        plain = {
            "board": self.board,
            "title": self.title,
            "target": self.target,
            "samples": self.samples,
            "steps": self.steps,
            "accuracy": self.accuracy,
            "accuracy_float": self.accuracy_float,
            "spike_agreement": self.spike_agreement,
            "class_agreement": self.class_agreement,
            "bit_exact": self.bit_exact,
            "verified": self.verified.to_dict(),
            "chips": None if self.chips is None else self.chips.to_dict(),
            **clipping_dict(self.clipped),
            "latency_ms": latency["typical"],
            "latency_band_ms": latency,
            "throughput_hz": self.throughput.to_dict(),
            "period_s": self.period_s,
            "energy_uj": energy.total.to_dict(),
            "energy_interval_uj": energy.to_dict()["interval_uj"],
            "dynamic_uj": energy.dynamic.typical,
            "static_uj": energy.static.typical,
            "io_uj": energy.io.typical,
            "energy": energy.to_dict(),
            "basis": cost.basis,
            "counts": dict(cost.counts),
            "synops": self.synops,
            "updates": self.updates,
            "spikes": self.spikes,
            "operations": None if self.operations is None else self.operations.to_dict(),
            "memory": {name: dict(value) for name, value in self.memory.items()},
            "memory_basis": self.memory_basis,
            "utilisation": self.utilisation,
            "cores": {"used": used, "available": available},
            "ann": None if self.ann is None else self.ann.to_dict(self.accuracy),
            "dead_outputs": [one.to_dict() for one in self.dead],
            "dead_output_neurons": sum(len(one.neurons) for one in self.dead),
            "board_status": self.board_status,
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "figures": dict(self.figures),
        }
        return plain | {k: v for k, v in cost.counts.items() if k not in plain}


@dataclass(frozen=True)
class BenchRefusal:
    """A board that cannot take the network, or a tool that is missing for it."""

    board: str
    target: str
    problems: tuple[Problem, ...]
    title: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: the only rows with the key "refused"."""
        return {
            "board": self.board,
            "title": self.title,
            "target": self.target,
            "refused": [str(problem) for problem in self.problems],
        }
