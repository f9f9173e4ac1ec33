"""The form of a program for SpiNNaker 2: what every processing element and every router holds.

An element simulates up to 250 neurons of one population, or plays events of the input. The
neuron at `position` of its `neurons` sends the packet `key + position`; routing tables copy
packets to elements; there the key finds a row of synapse words, or the taps of a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from snnstack.backends.spinnaker2.network import NETWORK_KINDS, ChipNetwork, ChipPopulation
from snnstack.board import Board
from snnstack.ir.nodes import Array, EventKind, Metadata, node
from snnstack.ir.step import StepInput

Chip = tuple[int, int]
"""Column and row on the machine."""

INDEX_BITS = 8
"""Low bits of a key: the position of the neuron that sent it."""


@node
class Rows:
    """Synapses of an element by packet, as in its memory.

    `keys` uint32 [rows], ascending: packets that meet synapses here. The row of `keys[r]` is
    `words[starts[r]:starts[r + 1]]`; `starts` uint16 [rows + 1], `words` uint16, in a format of
    `snnstack.backends.spinnaker2.words`.
    """

    keys: Array
    starts: Array
    words: Array


@node
class Kernel:
    """The part of a convolution (`network.connections[connection]`) that an element computes.

    `weight` int8 [C, C_in / groups, K_y, K_x]: those output channels that it holds. `box`
    int32 [3, 2]: first and last + 1 of its neurons along channel, row, column; they are
    numbered in C order of the box. `sources` int32 [s]: elements from which packets come,
    ascending; `boxes` int32 [s, 3, 2]: the neurons that each of them holds, likewise, in the
    map before the pool.
    """

    connection: int
    weight: Array
    box: Array
    sources: Array
    boxes: Array


@node
class Element:
    """A processing element. `neurons` int32 [n]: numbers in their population (C order).

    `sources` int32, ascending: numbers of the elements whose packets reach it. `used`: bytes of
    every table in its data memory. `wide`: sums of arriving weights need 32 bits, not 16.
    One spike becomes `packets` copies (elements reached), passes `hops` links between chips and
    is looked up in the tables of `lookups` chips.
    """

    number: int
    chip: Chip
    pe: int
    population: str
    neurons: Array
    sources: Array
    rows: Rows
    kernels: tuple[Kernel, ...]
    wide: bool
    used: Mapping[str, int]
    packets: int = 0
    hops: int = 0
    lookups: int = 0

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(self.neurons)

    @property
    def key(self) -> int:
        """What the packet of its first neuron carries."""
        return self.number << INDEX_BITS

    @property
    def mask(self) -> int:
        """The bits of a key that say which element sent it."""
        return 0xFFFFFFFF >> INDEX_BITS << INDEX_BITS

    @property
    def data_bytes(self) -> int:
        """Data memory used, of all tables."""
        return sum(self.used.values())


@node
class RoutingTable:
    """The multicast table of a chip: of the entries with `packet & mask == key`, the first counts.

    `key`, `mask` uint32 [entries]. `links` uint8: bit k sends a copy over link k (E, NE, N, W,
    SW, S). `elements` uint64 [entries, 3]: bit p of the 192 delivers a copy to element `pe` p.
    A packet without an entry goes straight on, or is dropped on the chip where it was sent.
    Every chip that packets pass has a table, if only an empty one.
    """

    chip: Chip
    key: Array
    mask: Array
    links: Array
    elements: Array


@node
class Program:
    """Everything a SpiNNaker 2 board needs. `scales`: state units per volt of every neuron.

    `elements` stand in the order of their numbers. `settings` records how the model was read
    and quantised; `events`: what the input carries per element and step.
    """

    name: str
    board: Board
    network: ChipNetwork
    elements: tuple[Element, ...]
    tables: tuple[RoutingTable, ...]
    dt: float
    scales: Mapping[str, Array]
    events: EventKind = "binary"
    settings: Metadata = field(default_factory=lambda: MappingProxyType({}))
    target: str = "spinnaker2"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the result populations."""
        return self.network.outputs

    @property
    def lag(self) -> Mapping[str, int]:
        """Steps by which each population runs behind the input."""
        return self.network.lag

    @property
    def drain(self) -> int:
        """Empty steps a run adds, so that the last input reaches every population."""
        return max(self.network.lag.values(), default=0)

    @property
    def port(self) -> StepInput:
        """The input as the model declares it."""
        return StepInput(self.network.input.name, self.network.input.shape, self.events)

    @property
    def populations(self) -> tuple[ChipPopulation, ...]:
        """Those of the model: without relays, which the compiler added."""
        relays = self.settings.get("relays", ())
        return tuple(p for p in self.network.populations if p.name not in relays)

    @property
    def fires(self) -> dict[str, bool]:
        """{population: whether it sends spikes}."""
        return {p.name: p.threshold is not None for p in self.populations}

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""
        currents = [p.name for p in self.populations if p.exc_decay is not None]
        return (
            *((p.name, "v") for p in self.populations),
            *((name, variable) for name in currents for variable in ("ie", "ii")),
        )


KINDS = (Program, Element, Rows, Kernel, RoutingTable, *NETWORK_KINDS)
"""Every dataclass that a `Program` consists of."""
