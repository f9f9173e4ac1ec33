"""How every figure of a benchmark is written: once, for the terminal, the page and messages.

The terminal's table and the page's table and tiles take their text from `headline`, which takes
its values from the row that `--json` prints: what the three say cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from snnstack.report.document import Chips, Row, Use
from snnstack.report.numbers import MISSING, band, digits, percent


@dataclass(frozen=True)
class Headline:
    """The figures of one row as text; `MISSING` where there is none.

    Bands are `typical (low-high)`; `interval` is that of 90 % of the draws. `chips`: mean and
    spread of drawn chips, beside the exact machine that `accuracy` is of.
    """

    accuracy: str
    accuracy_float: str
    chips: str
    spikes_equal: str
    exact: str
    latency_ms: str
    energy_uj: str
    interval_uj: str
    per_second: str
    cores: str
    fullest: str
    flash_kib: str
    ram_kib: str


def headline(row: Row) -> Headline:
    """What tables and tiles show of a row."""
    latency, energy = row.latency_band_ms, row.energy.total_uj
    interval = row.energy.interval_uj
    return Headline(
        accuracy=percent(row.accuracy),
        accuracy_float=percent(row.accuracy_float),
        chips=MISSING if row.chips is None else chips_text(row.chips),
        spikes_equal=percent(row.spike_agreement),
        exact=_exact(row),
        latency_ms=band(latency.low, latency.typical, latency.high),
        energy_uj=band(energy.low, energy.typical, energy.high),
        interval_uj=f"{digits(interval.low, 2)}-{digits(interval.high, 2)}",
        per_second=digits(row.throughput_hz.typical),
        cores=f"{row.cores.used:g}/{row.cores.available:g}",
        fullest=_fullest(row.memory),
        flash_kib=_kib(row.memory.get("flash")),
        ram_kib=_kib(row.memory.get("ram")),
    )


def operations_text(row: Row) -> tuple[str, str, str, str]:
    """(ACs, MACs, dense, share of silent neurons) per inference."""
    found = row.operations
    if found is None:
        return (MISSING,) * 4
    ops = found.synaptic_operations
    counts = (digits(v) for v in (ops.effective_acs, ops.effective_macs, ops.dense))
    acs, macs, dense = counts
    return acs, macs, dense, percent(found.activation_sparsity)


def chips_text(chips: Chips) -> str:
    """Mean and spread of the drawn chips."""
    n = len(chips.accuracies)
    spread = f"{100 * chips.mean:.2f} +- {100 * chips.spread:.2f} %"
    return f"{spread}, {n} chip{'s' if n != 1 else ''}"


class _Typical(Protocol):
    """A band of the report or of the energy model."""

    @property
    def typical(self) -> float: ...


def ratio(one: _Typical, other: _Typical) -> str:
    """How many times the typical energy of another."""
    return digits(one.typical / other.typical) if other.typical else MISSING


def _exact(row: Row) -> str:
    if row.bit_exact is None:
        return MISSING
    return "yes" if row.bit_exact else f"NO: {row.verified.mismatches}"


def _fullest(memory: Mapping[str, Use]) -> str:
    shares = [(u.used / u.available, name) for name, u in memory.items() if u.available]
    if not shares:
        return MISSING
    share, name = max(shares, key=lambda pair: pair[0])
    return f"{100 * share:.3g} % {name.replace('_', ' ')}"


def _kib(use: Use | None) -> str:
    return MISSING if use is None else f"{use.used / 1024:.1f}"
