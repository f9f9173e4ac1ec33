"""The form of a program for SpiNNaker 2: a network in chip units, elements, keys and routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from snnstack.backends.spinnaker2.network import ChipNetwork
from snnstack.board import Board
from snnstack.ir.nodes import Array, EventKind, Metadata, node
from snnstack.ir.step import StepInput

Lookup = Literal["direct", "search", "none"]
"""How an element finds the synapse row of a key: by table (one word for every source of a
block), by binary search in a sorted list of keys, or not at all (convolutions, inputs)."""

INPUT_APPLICATION = "spike_list"
"""The chip's application that plays the input."""


@node
class Element:
    """One processing element: neurons of one population, and what they cost.

    `number`: position in `Program.elements`. `chip` (column, row) over the whole board, `pe` the
    processing element's number on it. `neurons` int32: which of the population's (C order,
    ascending); the spike of `neurons[k]` carries the key `key + k`, and all keys of the element
    equal `key` under `mask`. `memory`: bytes of every table. `sources`: int32, numbers of the
    elements whose spikes arrive. `packets`: copies of one spike that are delivered; `hops`:
    links between chips they pass together; `lookups`: chips whose tables one spike is looked up
    in. `typical_cycles`, `worst_cycles`: estimated per step, at the assumed or measured rates and
    if every source fires.
    """

    number: int
    chip: tuple[int, int]
    pe: int
    population: str
    application: str
    neurons: Array
    key: int
    mask: int
    memory: Mapping[str, int]
    lookup: Lookup
    sources: Array
    packets: int
    hops: int
    lookups: int
    typical_cycles: float
    worst_cycles: float

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(self.neurons)

    @property
    def memory_bytes(self) -> int:
        """All tables together."""
        return sum(self.memory.values())

    @property
    def label(self) -> str:
        """For messages: population and neurons.

        Neurons of a patch are not consecutive: then the first and the last are named.
        """
        return f"{self.population}[{int(self.neurons[0])}..{int(self.neurons[-1])}]"


@node
class RoutingTable:
    """The multicast table of one chip; the first entry with `packet & mask == key` applies.

    `key`, `mask` uint32 [entry]. `links` uint8 [entry]: bit l set sends the packet over link l
    (0 east, 1 north-east, 2 north, 3 west, 4 south-west, 5 south). `elements` uint64 [entry, 3]:
    bit p % 64 of word p // 64 delivers it to processing element p.
    """

    chip: tuple[int, int]
    key: Array
    mask: Array
    links: Array
    elements: Array


@node
class Program:
    """Everything the chip needs. `tick_s`: real time of one step of the network.

    `scales` float64 [n] by population: state units per volt. `entries`: routing entries before
    compression, largest table. `settings` records how the model was read and quantised.
    """

    name: str
    board: Board
    network: ChipNetwork
    elements: tuple[Element, ...]
    tables: tuple[RoutingTable, ...]
    input_events: EventKind
    dt: float
    tick_s: float
    scales: Mapping[str, Array]
    entries: int = 0
    settings: Metadata = field(default_factory=lambda: MappingProxyType({}))
    target: str = "spinnaker2"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the result populations."""
        return self.network.outputs

    @property
    def port(self) -> StepInput:
        """The input as the model declares it."""
        return StepInput(self.network.input.name, self.network.input.shape, self.input_events)

    @property
    def fires(self) -> dict[str, bool]:
        """{population: whether it sends spikes}."""
        return {p.name: p.threshold is not None for p in self.network.populations}

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""
        curr = [p.name for p in self.network.populations if p.exc_decay is not None]
        currents = [(name, variable) for name in curr for variable in ("ie", "ii")]
        return (*((p.name, "v") for p in self.network.populations), *currents)

    @property
    def late(self) -> tuple[Element, ...]:
        """Elements whose estimated work at typical rates does not fit the tick: an estimate."""
        most = self.tick_s * float(self.board.clock.value)
        return tuple(e for e in self.elements if e.typical_cycles > most)

    @property
    def step_s(self) -> float:
        """Estimated seconds per step: the tick, or the busiest element where that is longer."""
        busiest = max((e.typical_cycles for e in self.elements), default=0.0)
        return max(self.tick_s, busiest / float(self.board.clock.value))
