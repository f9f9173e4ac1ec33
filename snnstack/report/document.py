"""What a page is made of: the rows that `bench --json` prints, checked when they come from a file.

Keys that a page does not need are let through unread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from snnstack.board import Status
from snnstack.errors import DataError, fail

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
    accuracies: tuple[float, ...]
    yield_loss: float
    mean: float
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


class Layer(msgspec.Struct, frozen=True):
    """What quantising one population cost."""

    name: str
    neurons: int
    weight_error: float
    clipped: float
    spikes_float: float
    spikes: float
    silenced: int
    saturated: int
    accuracy: float | None = None


class Conversion(msgspec.Struct, frozen=True):
    """Layer by layer."""

    samples: int
    accuracy_float: float | None
    accuracy: float | None
    layers: tuple[Layer, ...]
    first_loss: str | None = None


_Count = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class Raster(msgspec.Struct, frozen=True):
    """Spikes of one population in one sample: (step, row) pairs."""

    name: str
    neurons: _Count
    shown: _Count
    steps: _Count
    spikes: int
    events: tuple[tuple[_Count, _Count], ...]


class Membrane(msgspec.Struct, frozen=True):
    """One neuron's membrane after every step, and the steps in which it fired."""

    population: str
    neuron: int
    values: tuple[float, ...]
    spikes: tuple[_Count, ...]


class Example(msgspec.Struct, frozen=True):
    """One sample to look at."""

    sample: int
    rasters: tuple[Raster, ...]
    membranes: tuple[Membrane, ...]


class Core(msgspec.Struct, frozen=True):
    """One core in use."""

    name: str
    chip: _Count
    x: _Count
    y: _Count
    load: float
    used: dict[str, tuple[float, float]]
    holds: dict[str, float]


_Grid = Annotated[int, msgspec.Meta(ge=1, le=256)]


class CoreMap(msgspec.Struct, frozen=True, tag_field="kind", tag="cores"):
    """Where the cores in use are; `columns` x `rows` is the grid of one chip."""

    title: str
    columns: _Grid
    rows: _Grid
    cores: tuple[Core, ...]


class Part(msgspec.Struct, frozen=True):
    """Some bytes of a memory."""

    name: str
    bytes: _Count


class MemoryMap(msgspec.Struct, frozen=True, tag_field="kind", tag="memory"):
    """What a memory holds."""

    title: str
    capacity: Annotated[int, msgspec.Meta(ge=1)]
    parts: tuple[Part, ...]


class Matrix(msgspec.Struct, frozen=True, tag_field="kind", tag="matrix"):
    """Values as a picture."""

    title: str
    unit: str
    rows: _Count
    columns: _Count
    values: Annotated[
        tuple[Annotated[tuple[float, ...], msgspec.Meta(max_length=64)], ...],
        msgspec.Meta(max_length=64),
    ]
    note: str = ""


class Figures(msgspec.Struct, frozen=True):
    """What a page shows besides numbers."""

    example: Example | None = None
    views: tuple[CoreMap | MemoryMap | Matrix, ...] = ()
    conversion: Conversion | None = None


class Row(msgspec.Struct, frozen=True):
    """A board that was measured."""

    board: str
    target: str
    samples: int
    steps: int
    accuracy: float | None
    accuracy_float: float | None
    spike_agreement: float | None
    class_agreement: float | None
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
    except (msgspec.DecodeError, RecursionError) as error:
        raise fail(DataError, str(path), f"is not JSON: {error}", HINT) from error
    return rows_of(plain, str(path))
