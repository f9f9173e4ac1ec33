"""`Performance`: what one inference costs on a board, in time and energy."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from snnstack.energy.model import Band, Energy


@dataclass(frozen=True)
class Performance:
    """`latency` in seconds; `basis` says where the counts come from; `counts` per inference."""

    latency: Band
    energy: Energy
    basis: str
    counts: MappingProxyType[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "latency_s": self.latency.to_dict(),
            "energy": self.energy.to_dict(),
            "basis": self.basis,
            "counts": dict(self.counts),
        }
