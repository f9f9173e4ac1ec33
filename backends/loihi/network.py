"""Networks in chip units: populations and connections with Loihi's register values.

For people who already have integers, and for replaying recordings. Everything a compiler or an
importer makes for Loihi ends in a `ChipNetwork`; `snnstack.backends.loihi.reference` says what
it computes. Build one with `snnstack.backends.loihi.builder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Literal

from snnstack.dynamics.model import Model, Neurons
from snnstack.dynamics.trace import traced
from snnstack.ir.nodes import Array, Shape, node
from snnstack.ir.step import CONNECTION_KINDS, Conv, Dense, Pool, Synapses, size

ChipReset = Literal["zero", "subtract"]
"""`zero` is the CUBA neuron of both generations; `subtract` needs generation 2's microcode."""


@node
class Cuba:
    """Current-based leaky integrate-and-fire compartments; all values int64 [n].

        u <- dec(u, i_decay) + (sum of weights << 6)      24 bit, wraps
        v <- clip(dec(v, v_decay) + u + bias, +-(2**23 - 1))
        spike iff v > threshold;  v = 0 (or v - threshold);  delivered one step later

    `i_decay`, `v_decay`: 0..4096, what is subtracted from 4096 (netx `iDecay`, `vDecay`; Lava's
    `du` + 1, `dv`). `bias`: bias_mant * 2**bias_exp. `threshold`: vth_mant << 6; None: the
    population never fires and its membrane is the result. `refractory` 1..64 steps: 1 is none.
    `v_init`: v before the first step; None: 0. `reset_interval`: before every step t with
    t % reset_interval == reset_offset, u, v and the refractory period are cleared (Lava's
    `LIFReset`, whose steps count from 1); 0: never.
    """

    name: str
    shape: Shape
    i_decay: Array
    v_decay: Array
    bias: Array
    threshold: Array | None
    reset: ChipReset = "zero"
    refractory: int = 1
    v_init: Array | None = None
    reset_interval: int = 0
    reset_offset: int = 0

    @property
    def n(self) -> int:
        """Number of compartments."""
        return size(self.shape)

    @property
    def fires(self) -> bool:
        """Whether it sends spikes."""
        return self.threshold is not None

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be probed."""
        return "v", "i"

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of the sums of weights that arrive."""
        return ("x",)


@node
class SigmaDelta:
    """Sigma-delta neurons of generation 2: send the change of a rectified sum, in integers.

        sigma += a;  act = relu(sigma + bias) (or sigma + bias);  delta = act - act_prev + residue
        s = delta if |delta| >= threshold else 0;  residue = delta - s;  act_prev = act

    `a` is the weighted input; a sent value is `s >> exponent`. State, `bias` and `threshold`
    are held times `2**exponent` (as in Lava: `2**(spike_exp + state_exp)`). int64 [n].
    """

    name: str
    shape: Shape
    bias: Array
    threshold: Array
    exponent: int = 6
    activation: Literal["relu", "none"] = "relu"

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)

    @property
    def fires(self) -> bool:
        """Whether it sends spikes: it sends values."""
        return False

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be probed."""
        return "v", "s"

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of the sums of weights that arrive."""
        return ("x",)


@node
class Programmed:
    """Neurons of generation 2 with a program of their own: one step of `model` in integers.

    The step is made of the operations in `snnstack.backends.loihi.legal`; states have 24 bits.
    Each of the model's inputs is a sum of applied weights, without the fixed compartment's shift.
    `values`: its parameters, an integer or int64 [n]; `initial`: of states that do not begin at 0.
    `payload`: the largest magnitude of what an event carries, 0: events are spikes.
    """

    name: str
    shape: Shape
    model: Model
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    initial: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    payload: int = 0

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)

    @property
    def is_lif(self) -> bool:
        """Whether it is a fixed compartment: never, whatever its model."""
        return False

    @property
    def neurons(self) -> Neurons:
        """The model with these numbers."""
        return Neurons(self.model, self.n, "int32", self.values, self.options, self.initial)

    @property
    def fires(self) -> bool:
        """Whether it sends events: spikes, or with a `payload` values."""
        return self.neurons.fires

    @property
    def variables(self) -> tuple[str, ...]:
        """What can be probed."""
        return traced(self.neurons).states

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of the sums of weights that arrive."""
        return self.model.inputs


@node
class ChipInput:
    """Where events enter. `graded` events carry signed integers; others are 0/1 or counts."""

    name: str
    shape: Shape
    graded: bool = False


@node
class Connection:
    """Synapses with integer weights as the chip applies them, before its fixed shift by 6.

    `synapses.weight` holds the effective mantissas `w_act / 2**6` after the exponent and the
    format's rounding (see `snnstack.backends.loihi.weights.effective`). A spike of step t
    arrives in step t + 1 + `delay` (0..62). `bits`, `exponent`, `signs`: the stored format.
    `port`: in which of the target's sums they end.
    """

    source: str
    target: str
    synapses: Synapses
    delay: int = 0
    pool: Pool | None = None
    bits: int = 8
    exponent: int = 0
    signs: Literal["mixed", "excitatory", "inhibitory"] = "mixed"
    port: str = "x"


ChipPopulation = Cuba | SigmaDelta | Programmed


@node
class ChipNetwork:
    """`lag`: steps by which a population runs behind the input (its depth)."""

    generation: Literal[1, 2]
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


def same_place(a: Connection, b: Connection) -> bool:
    """Whether the two differ in weights only, so that those can be added entry by entry."""
    if a is b:
        return True
    ends = [(c.source, c.target, c.port, c.delay, c.pool) for c in (a, b)]
    if ends[0] != ends[1]:
        return False
    match a.synapses, b.synapses:
        case Dense(), Dense():
            return True
        case Conv() as left, Conv() as right:
            shape = left.weight.shape == right.weight.shape
            names = ("in_shape", "out_shape", "stride", "padding", "dilation", "groups")
            return shape and all(getattr(left, n) == getattr(right, n) for n in names)
    return False


def depths(network: ChipNetwork) -> dict[str, int]:
    """By population: how many hops the shortest way from the input has, delays left aside.

    A population that the input does not reach has the depth 0.
    """
    found = {network.input.name: 0}
    near = [network.input.name]
    while near:
        reached = {c.target: found[c.source] + 1 for c in network.connections if c.source in near}
        near = [name for name in reached if name not in found]
        found |= {name: reached[name] for name in near}
    return {p.name: found.get(p.name, 0) for p in network.populations}


NETWORK_KINDS = (
    ChipNetwork,
    ChipInput,
    Connection,
    Cuba,
    SigmaDelta,
    Programmed,
    *CONNECTION_KINDS,
)
"""Every dataclass that a `ChipNetwork` consists of."""
