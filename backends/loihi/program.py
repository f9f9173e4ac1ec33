"""The form of a program for Loihi: a network in chip units and where every neuron stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from snnstack.backends.loihi.network import NETWORK_KINDS, ChipNetwork
from snnstack.board import Board
from snnstack.ir.nodes import Array, EventKind, Metadata, node
from snnstack.ir.step import StepInput


@node
class Placement:
    """Where the neurons of one population (or the input) are and how far their spikes go.

    All int32 [n]. `core`: number of the core (-1: the input, outside the mesh). One spike of
    neuron n becomes `messages[n]` messages, one for each core that it reaches; together they
    take `hops_x[n]` steps from router to router east or west and `hops_y[n]` north or south.
    """

    core: Array
    messages: Array
    hops_x: Array
    hops_y: Array


@node
class CoreImage:
    """One core: `neurons` by population, and what it uses of every resource.

    `tile`: (column, row) of its router, counted over the whole board. `used`: "compartments",
    "input_axons", "output_axons", "synaptic_memory_bytes".
    """

    number: int
    chip: int
    tile: tuple[int, int]
    neurons: Mapping[str, int]
    used: Mapping[str, int]


@node
class Program:
    """Everything a Loihi board needs. `scales`: state units per volt of every neuron.

    `settings` records how the model was read and quantised, and the registers it got;
    `events`: what the input carries per element and step. `input_count`: spikes of an element
    and step that the scales were chosen for (`snnstack.backends.loihi.proof`); None: the
    integers are the user's, and currents wrap as the chip's do.
    """

    name: str
    board: Board
    network: ChipNetwork
    cores: tuple[CoreImage, ...]
    placement: Mapping[str, Placement]
    dt: float
    scales: Mapping[str, Array]
    events: EventKind = "binary"
    settings: Metadata = field(default_factory=lambda: MappingProxyType({}))
    input_count: int | None = None
    target: str = "loihi"

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
    def graded(self) -> bool:
        """Whether the input is an array of signed integers, as in chip units."""
        return self.network.input.graded and self.events != "value"

    @property
    def fires(self) -> dict[str, bool]:
        """{population: whether it sends spikes}; sigma-delta neurons send values instead."""
        return {p.name: p.fires for p in self.network.populations}

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""
        return tuple((p.name, v) for p in self.network.populations for v in p.variables)


KINDS = (Program, Placement, CoreImage, *NETWORK_KINDS)
"""Every dataclass that a `Program` consists of."""
