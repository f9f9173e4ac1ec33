"""Many chips of one design: how far their accuracies lie apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

YIELD_LOSS = 0.02
"""A chip is good whose accuracy is at most this much below that of the exact machine."""


@dataclass(frozen=True)
class Chips:
    """Accuracy (share of labels; without labels, of the float network's classes) per seed.

    `yield_share`: share of chips at most `yield_loss` below `exact`, the machine without
    variation. `spread` is the standard deviation with n - 1 in the denominator, 0 for one chip.
    """

    of: str
    exact: float
    accuracies: tuple[float, ...]
    yield_loss: float = YIELD_LOSS

    @property
    def mean(self) -> float:
        """Mean over the chips."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """Standard deviation over the chips."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0

    @property
    def worst(self) -> float:
        """The worst chip."""
        return min(self.accuracies)

    @property
    def yield_share(self) -> float:
        """Share of good chips."""
        return float(np.mean([a >= self.exact - self.yield_loss for a in self.accuracies]))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {k: getattr(self, k) for k in ("mean", "spread", "worst", "yield_share")}
        return {**asdict(self), "accuracies": list(self.accuracies), **found}

    def __str__(self) -> str:
        n = len(self.accuracies)
        return (
            f"{n} chip{'s' if n != 1 else ''}, statistical: {self.of} "
            f"{100 * self.mean:.2f} +- {100 * self.spread:.2f} %, worst {100 * self.worst:.2f} %, "
            f"{100 * self.yield_share:.0f} % within {100 * self.yield_loss:g} points of the "
            f"exact machine ({100 * self.exact:.2f} %)"
        )
