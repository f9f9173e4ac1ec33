"""What a machine can hold, and what a neuron model in integers is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.spans import Span


@dataclass(frozen=True)
class Machine:
    """The integers of a target.

    `word`: bits of every number in between. `state_bits`: bits of a state, sign included, or up
    to `widest_bits` where a slow decay would come to rest too far from where it should.
    `product_bits`: bits of a product before it is shifted down. `table_entries`: of a function
    that is looked up; `interpolate`: whether in a straight line between entries.
    `payload_bits`: of a value that is sent, sign included. `margin`: how much wider than in the
    calibration a range is taken, as a share of its width, on either side.
    """

    word: int = 32
    state_bits: int = 24
    widest_bits: int = 30
    product_bits: int = 64
    table_entries: int = 256
    interpolate: bool = True
    payload_bits: int = 16
    margin: float = 0.5


WORD32 = Machine()
"""What a processor with words of 32 bits holds."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A place where a number is held within `low`..`high`; `before` is what it is without.

    Limits are integers, or parameters of the integer model.
    """

    place: str
    before: E
    low: int | E
    high: int | E


@dataclass(frozen=True)
class TableNote:
    """A function that became a table: over which arguments, and its largest error there."""

    name: str
    tables: tuple[Table, ...]
    domain: Span
    error: float


@dataclass(frozen=True, eq=False)
class Fixed:
    """A neuron model in integers.

    `neurons`: number int32, the step made of integer operations. `scale`: by state, integers a
    real unit, one number or an array [n]. `sent_bits`: fraction bits of a value that is sent,
    None for spikes. `ports`: by input, "shift" or "multiply". `clips`: where numbers may
    saturate. `notes`: lines for the report of a conversion. `spans`: of states, and `sent` of what
    is sent: the least and the largest integer.
    """

    neurons: Neurons
    scale: Mapping[str, Any]
    sent_bits: int | None
    ports: Mapping[str, str]
    clips: tuple[Clip, ...]
    tables: tuple[TableNote, ...] = ()
    notes: tuple[str, ...] = ()
    spans: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    sent: tuple[int, int] = (0, 1)
