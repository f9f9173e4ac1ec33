"""Networks in chip units: neuron applications and integer synapses as py-spinnaker2 takes them.

Everything a compiler or an importer makes for SpiNNaker 2 ends in a `ChipNetwork`;
`snnstack.backends.spinnaker2.reference` says what it computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Literal

from snnstack.ir.nodes import Array, Shape, node
from snnstack.ir.step import CONNECTION_KINDS, Pool, Synapses, size

Application = Literal["lif", "lif_no_delay", "lif_curr_exp", "lif_curr_exp_no_delay", "lif_conv2d"]
"""The chip's neuron programs; those without delays have 7-bit weights instead of 4-bit."""
ChipReset = Literal["v_reset", "subtract"]

MAX_DELAY = 7
"""The largest value of a synapse word's delay field."""


@node
class ChipPopulation:
    """Neurons of one application; parameters float32 [n].

        lif:            v <- a v + x + i_offset
        lif_curr_exp:   Ie <- Ie exc_decay + x_exc;  Ii <- Ii inh_decay + x_inh
                        v <- a v + Ie + Ii + i_offset
        spike iff v >= threshold;  v = v_reset, or v -= threshold

    `exc_decay`, `inh_decay` are None for `lif*`. `threshold` None: never fires, v is the result.
    `v_init` None: v starts at 0; Ie and Ii always do.
    """

    name: str
    shape: Shape
    application: Application
    alpha: Array
    i_offset: Array
    threshold: Array | None
    v_reset: Array
    exc_decay: Array | None = None
    inh_decay: Array | None = None
    reset: ChipReset = "v_reset"
    v_init: Array | None = None

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)


@node
class Connection:
    """Integer synapses: -15..15 with `delay` 0..7, or -127..127 without delay.

    A spike of step t arrives in step t + 1 + `delay`. Weights of both signs may share a
    connection: positive ones add to the excitatory sum, negative ones to the inhibitory.
    """

    source: str
    target: str
    synapses: Synapses
    delay: int = 0
    pool: Pool | None = None


@node
class ChipInput:
    """Spike sources: an event in step t is sent in step t (0/1 or counts)."""

    name: str
    shape: Shape


@node
class ChipNetwork:
    """`lag`: steps by which a population runs behind the input (its depth)."""

    input: ChipInput
    populations: tuple[ChipPopulation, ...]
    connections: tuple[Connection, ...]
    outputs: tuple[str, ...]
    lag: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def population(self, name: str) -> ChipPopulation:
        """The population called `name`."""
        return next(p for p in self.populations if p.name == name)

    def into(self, name: str) -> tuple[Connection, ...]:
        """The connections whose target is `name`."""
        return tuple(c for c in self.connections if c.target == name)

    def with_(self, **changes: Any) -> ChipNetwork:
        """A copy with some fields replaced."""
        return replace(self, **changes)


NETWORK_KINDS = (ChipNetwork, ChipInput, ChipPopulation, Connection, *CONNECTION_KINDS)
"""Every dataclass that a `ChipNetwork` consists of."""
