"""What a page is made of: the rows that `bench --json` prints, checked when they come from a file.

Keys that a page does not need are let through unread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from snnstack.board import Status
from snnstack.errors import DataError, fail
from snnstack.report.document_figures import Figures, Share

HINT = "give the output of `snnstack bench --json`"


class Band(msgspec.Struct, frozen=True):
    """Smallest, expected, largest."""

    low: float
    typical: float
    high: float


class Interval(msgspec.Struct, frozen=True):
    """The part of Monte-Carlo draws (`level`) between two values."""

    low: float
    high: float
    level: float = 0.9


class Component(msgspec.Struct, frozen=True):
    """A line of an energy report."""

    name: str
    kind: Literal["dynamic", "static", "io"]
    low_uj: float
    typical_uj: float
    high_uj: float
    status: Status
    coefficients: tuple[str, ...]


class Coefficient(msgspec.Struct, frozen=True):
    """A figure of a board with where it comes from."""

    name: str
    low: float
    typical: float
    high: float
    unit: str
    status: Status
    source: str


class Energy(msgspec.Struct, frozen=True):
    """Energy of one inference, in uJ."""

    total_uj: Band
    dynamic_uj: Band
    static_uj: Band
    io_uj: Band
    interval_uj: Interval
    components: tuple[Component, ...]
    coefficients: tuple[Coefficient, ...]
    warnings: tuple[str, ...]


class Verified(msgspec.Struct, frozen=True):
    """The comparison with an independent run."""

    against: str
    samples: int
    steps: int
    spikes_compared: int
    states_compared: int
    mismatches: int


class Chips(msgspec.Struct, frozen=True):
    """Chips of an analogue target."""

    of: str
    exact: float
    accuracies: tuple[Share, ...]
    yield_loss: float
    mean: Share
    spread: float
    worst: float
    yield_share: float


class SynapticOperations(msgspec.Struct, frozen=True):
    """Under NeuroBench's names."""

    effective_macs: float
    effective_acs: float
    dense: float


class Operations(msgspec.Struct, frozen=True):
    """Under NeuroBench's names."""

    footprint_bytes: int
    connection_sparsity: float
    activation_sparsity: float | None
    membrane_updates: float
    synaptic_operations: SynapticOperations
    counted_on: str = "the program's integers"


class Use(msgspec.Struct, frozen=True):
    """Of a resource."""

    used: float
    available: float


class Ann(msgspec.Struct, frozen=True):
    """The same shape without spikes."""

    latency_ms: float
    energy_uj: Band
    energy_interval_uj: Interval
    basis: str
    widths: str
    given: str
    trained: str
    verdict: str
    accuracy: Share | None
    accuracy_float: Share | None
    left_out: tuple[str, ...]
    verified_samples: int
    mismatches: int


class Row(msgspec.Struct, frozen=True):
    """A board that was measured."""

    board: str
    target: str
    samples: int
    steps: int
    accuracy: Share | None
    accuracy_float: Share | None
    spike_agreement: float | None
    class_agreement: Share | None
    bit_exact: bool | None
    verified: Verified
    latency_band_ms: Band
    throughput_hz: Band
    energy: Energy
    basis: str
    synops: float
    spikes: float
    operations: Operations | None
    memory: dict[str, Use]
    cores: Use
    board_status: Status
    settings: dict[str, Any]
    title: str = ""
    period_s: float | None = None
    chips: Chips | None = None
    ann: Ann | None = None
    notes: tuple[str, ...] = ()
    memory_basis: str = ""
    figures: Figures = Figures()


class Refusal(msgspec.Struct, frozen=True):
    """A board that was not."""

    board: str
    target: str
    refused: tuple[str, ...]
    title: str = ""


def rows_of(plain: Any, where: str) -> list[Row | Refusal]:
    """Rows from decoded JSON; DataError names the key that is missing or wrong."""
    if not isinstance(plain, list) or not plain:
        raise fail(DataError, where, "holds no list of rows", HINT)
    try:
        return [msgspec.convert(row, _kind(row)) for row in plain]
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        key = at.strip("`.") or "a row"
        raise fail(DataError, where, f"{key}: {reason[:1].lower()}{reason[1:]}", HINT) from error


def _kind(row: Any) -> type[Row] | type[Refusal]:
    return Refusal if isinstance(row, dict) and "refused" in row else Row


def read_rows(path: Path) -> list[Row | Refusal]:
    """The rows in a file that `bench --json` wrote."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise fail(DataError, str(path), what, HINT)
    try:
        plain = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise fail(DataError, str(path), f"is not JSON: {error}", HINT) from error
    return rows_of(plain, str(path))
