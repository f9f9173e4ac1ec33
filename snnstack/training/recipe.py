"""`Recipe`: how `fit` trains."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goals:
    """Weights of the three parts of the loss, see `snnstack.training.loss`."""

    labels: float = 1.0
    outputs: float = 1.0
    hidden: float = 0.2


@dataclass(frozen=True)
class Recipe:
    """How to train; `drop`, `shift` as in `snnstack.training.augment`."""

    epochs: int = 40
    rate: float = 3e-3
    batch: int = 48
    drop: float = 0.1
    shift: float = 0.012
    goals: Goals = field(default_factory=Goals)
    seed: int = 0
