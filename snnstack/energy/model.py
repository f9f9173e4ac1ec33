"""Energy as data: components are sums of products of uncertain coefficients, never one number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnstack.board import Status, worst

Kind = Literal["dynamic", "static", "io"]
"""Paid per event; paid per second; paid for moving data on and off the chip."""

_Values = Mapping["Factor", Any]


class Band(NamedTuple):
    """Smallest, expected and largest value."""

    low: float
    typical: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """{"low": ..., "typical": ..., "high": ...}."""
        return {"low": self.low, "typical": self.typical, "high": self.high}


@dataclass(frozen=True)
class Factor:
    """A coefficient under its name. Equal factors are the same unknown and share one draw."""

    name: str
    low: float
    typical: float
    high: float
    unit: str
    status: Status
    source: str

    def quantile(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """The value at the cumulative probability `u` (0..1); the median is `typical`.

        Half of the probability lies on each side of `typical`, uniform in the logarithm (a
        band usually spans a ratio, not a difference), or linearly where `low` is 0.
        """
        points = np.array([self.low, self.typical, self.high])
        logarithmic = self.low > 0
        ends = np.log(points) if logarithmic else points
        values: NDArray[np.float64] = np.interp(u, (0.0, 0.5, 1.0), ends)
        return np.exp(values) if logarithmic else values

    def to_dict(self) -> dict[str, Any]:
        """All fields."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Term:
    """`scale` times all `factors`, in uJ. `scale` may be negative (time not spent asleep)."""

    scale: float
    factors: tuple[Factor, ...] = ()

    def value(self, values: _Values) -> Any:
        """In uJ, with a number or an array for each factor."""
        return math.prod((values[factor] for factor in self.factors), start=self.scale)


@dataclass(frozen=True)
class Component:
    """One line of an energy report: the sum of its terms, at least 0."""

    name: str
    kind: Kind
    terms: tuple[Term, ...]

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The coefficients it rests on, each once."""
        return tuple(dict.fromkeys(f for term in self.terms for f in term.factors))

    @property
    def status(self) -> Status:
        """That of its least certain coefficient."""
        return worst(factor.status for factor in self.factors)

    @property
    def source(self) -> str:
        """The sources of its coefficients."""
        return "; ".join(f"{factor.name}: {factor.source}" for factor in self.factors)

    def value(self, values: _Values) -> Any:
        """In uJ, with a number or an array for each factor."""
        return np.maximum(sum(term.value(values) for term in self.terms), 0.0)

    @property
    def band(self) -> Band:
        """In uJ. Exact: a sum of products takes its extremes at corners of the bands."""
        factors = self.factors
        corners = [
            float(self.value(dict(zip(factors, corner, strict=True))))
            for corner in product(*((factor.low, factor.high) for factor in factors))
        ]
        typical = float(self.value({factor: factor.typical for factor in factors}))
        return Band(min(*corners, typical), typical, max(*corners, typical))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        band = {f"{name}_uj": value for name, value in self.band.to_dict().items()}
        return {"name": self.name, "kind": self.kind, **band, "status": self.status} | {
            "coefficients": [factor.name for factor in self.factors]
        }


@dataclass(frozen=True)
class Energy:
    """Energy of one inference. Bands are in uJ; `notes` are warnings known by its maker."""

    components: tuple[Component, ...]
    notes: tuple[str, ...] = ()

    @property
    def dynamic(self) -> Band:
        """What the events cost."""
        return self._sum("dynamic")

    @property
    def static(self) -> Band:
        """What the time costs."""
        return self._sum("static")

    @property
    def io(self) -> Band:
        """What moving data costs."""
        return self._sum("io")

    @property
    def total(self) -> Band:
        """The sum of all bands: never narrower than the truth, see `interval`."""
        return self._sum("dynamic", "static", "io")

    def _sum(self, *kinds: Kind) -> Band:
        bands = [component.band for component in self.components if component.kind in kinds]
        return Band(*(math.fsum(band[i] for band in bands) for i in range(3)))

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The coefficients that the components rest on, each once, sorted by name."""
        found = dict.fromkeys(f for component in self.components for f in component.factors)
        return tuple(sorted(found, key=lambda factor: (factor.name, factor.source)))

    def interval(self, seed: int = 0, level: float = 0.9, samples: int = 4096) -> Band:
        """Monte-Carlo interval of the total in uJ, around the typical total.

        Coefficients are independent; components that share one share its draw. The interval
        holds `level` of the draws, the same on both sides, and always the typical total.
        """
        draws = np.random.default_rng(seed).random((len(self.factors), samples))
        values = {f: f.quantile(draw) for f, draw in zip(self.factors, draws, strict=True)}
        zero = np.zeros(samples)
        total = sum((component.value(values) for component in self.components), start=zero)
        low, high = np.quantile(total, (0.5 - level / 2, 0.5 + level / 2))
        typical = self.total.typical
        return Band(min(float(low), typical), typical, max(float(high), typical))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers must be told."""
        estimated = [c for c in self.components if c.status == "estimated"]
        total = self.total.typical
        share = math.fsum(c.band.typical for c in estimated) / total if total > 0 else 0.0
        if share <= 0.5:
            return self.notes
        priced = [f for c in estimated if c.band.typical > 0 for f in c.factors]
        names = sorted({f.name for f in priced if f.status == "estimated"})
        rests = "of the energy rests on estimated coefficients"
        text = f"{100 * share:.0f} % {rests}: {', '.join(names)}"
        return (*self.notes, text)

    def to_dict(self, seed: int = 0, level: float = 0.9) -> dict[str, Any]:
        """For JSON: bands, components, coefficients with their sources, interval, warnings."""
        interval = self.interval(seed, level)
        return {
            "total_uj": self.total.to_dict(),
            "dynamic_uj": self.dynamic.to_dict(),
            "static_uj": self.static.to_dict(),
            "io_uj": self.io.to_dict(),
            "interval_uj": {"low": interval.low, "high": interval.high, "level": level},
            "components": [component.to_dict() for component in self.components],
            "coefficients": [factor.to_dict() for factor in self.factors],
            "warnings": list(self.warnings),
        }
