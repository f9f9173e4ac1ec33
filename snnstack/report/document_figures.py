"""The part of a row that a page draws: spikes, membranes, cores, memories, layers; all checked."""

from __future__ import annotations

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Losses(msgspec.Struct, frozen=True):
    """Of `snnstack.quant.losses.LayerLosses`, what a table shows."""

    weights: int
    weights_lost: int
    drive_lost: float
    unreachable: int


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
    losses: Losses | None = None


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
