"""The form of a program for a microcontroller: layers in memory order, ready to be C arrays.

"Memory order" of a population of shape (C, H, W) that a convolution reads or writes is
(H, W, C), channel last, so that one event adds contiguous rows; every other population keeps
C order. All integers here are final: the emulator and the firmware use the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Literal

from snnstack.board import Board
from snnstack.dynamics.model import Model, Neurons
from snnstack.dynamics.trace import traced
from snnstack.foreign_text import identifier
from snnstack.ir.lif import LifNumbers, changed
from snnstack.ir.nodes import Array, EventKind, Metadata, Shape, node
from snnstack.ir.step import Pool, StepInput, size

Order = Literal["c", "hwc"]


@node
class DenseTable:
    """`weight` int8 [source, target], both in memory order.

    `bits`, here and below: 8, 4, 2 or 1, in flash. Weights lie in -127..127, -7..7, -1..1; of 1
    bit they are -1 and 1, without 0.
    """

    weight: Array
    bits: int = 8


@node
class SparseTable:
    """Row of source s: `target[indptr[s]:indptr[s+1]]` (memory order) with `weight` int8.

    With `bits` 16 or 32, int16 or int32: single weights that are too large for the others' table.
    """

    indptr: Array
    target: Array
    weight: Array
    bits: int = 8


@node
class ConvTable:
    """`weight` int8 [C_in, K_y, K_x, C_out / groups]: an event scatters K_y * K_x rows.

    An event at (c, y, x) of the (pooled) source reaches output (oy, ox) wherever
    oy * stride_y == y + padding_y - k_y * dilation_y (likewise x) and 0 <= oy < H'; it adds
    row weight[c, k_y, k_x] to channels g * C_out/groups .. with g = c // (C_in / groups).
    """

    weight: Array
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    bits: int = 8


Table = DenseTable | SparseTable | ConvTable
Form = Literal["events", "full"]
"""How a route is computed: work per event, or all products in every step."""


@node
class Route:
    """Synapses from `source` (a layer or the input), reading its events `delay` steps ago.

    With a `pool` (source in "hwc"), each event first becomes one event per window it lies in;
    the table's source axis is the pooled map in memory order (channel last). `form` changes no
    result; "full" exists for dense and convolution tables of 8 bits. `port`: number of the input
    of the target's model.
    """

    source: str
    delay: int
    table: Table
    pool: Pool | None = None
    form: Form = "events"
    port: int = 0


@node
class Layer(LifNumbers):
    """One population with everything that enters it.

    `neurons`: its model with integers [n] in memory order, and with the arithmetic of the target
    (`snnstack.quant.neurons`). Of the LIF family, `alpha`, `beta`: 0..65536, 65536 means 1; with
    `alpha_bits`, `beta_bits` 32 int64 in 2**31..2**32, 2**32 means 1.
    `accumulator_bits` (16 or 32), `saturate_v`, `saturate_i`: proven by the compiler; where a
    flag is False the limit cannot be reached, so clipping would change nothing.
    `history`: how many steps of its own events the layer must keep. `payload`: the largest
    magnitude of what its events carry, 0: they are spikes.
    """

    name: str
    shape: Shape
    order: Order
    routes: tuple[Route, ...]
    neurons: Neurons
    accumulator_bits: Literal[16, 32]
    saturate_v: bool
    saturate_i: bool
    history: int
    payload: int = 0

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)

    @property
    def model(self) -> Model:
        """What the neurons compute."""
        return self.neurons.model

    @property
    def values(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The model's parameters."""
        return self.neurons.values

    @property
    def options(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The model's choices."""
        return self.neurons.options

    @property
    def initial(self) -> Mapping[str, Any]:
        """States that do not begin at 0."""
        return self.neurons.initial

    @property
    def fires(self) -> bool:
        """Whether the layer has events."""
        return self.neurons.fires

    @property
    def shift(self) -> int:
        """Bits by which the sum of weights is shifted up."""
        return int(self.values.get("shift", 0))

    @property
    def alpha_bits(self) -> int:
        """Fraction bits of alpha."""
        return int(self.options["alpha_bits"])

    @property
    def beta_bits(self) -> int:
        """Fraction bits of beta."""
        return int(self.options["beta_bits"])

    @property
    def variables(self) -> tuple[str, ...]:
        """States that can be probed, in the order in which the firmware numbers them."""
        if self.is_lif:
            return ("v",) if self.beta is None else ("v", "i")
        return traced(self.neurons).states

    def with_lif(self, **changes: Any) -> Layer:
        """A copy of a layer of the LIF family with other numbers or choices."""
        return replace(self, neurons=replace(self.neurons, **changed(self, changes)))


@node
class InputPort:
    """Where events enter: element numbers in memory order, repeated for counts above one.

    `history`: how many steps of input events the network must keep (1: only the present).
    `values`: every event carries a whole number of 16 bits, once an element and step.
    """

    name: str
    shape: Shape
    order: Order
    max_count: int
    history: int
    values: bool = False

    @property
    def n(self) -> int:
        """Number of elements."""
        return size(self.shape)


@node
class Golden:
    """A short recorded run that the firmware can repeat by itself.

    `events[t]`: input event numbers of step t in memory order, with 2**16 times what they carry;
    `spikes[t]`: number of spikes of every layer in step t (int32 [steps, layers]);
    `checksum[t]`: uint32 sum of the final membranes of all layers after step t, modulo 2**32.
    """

    events: tuple[Array, ...]
    spikes: Array
    checksum: Array


@node
class Program:
    """Everything a microcontroller needs. `layers` stand in update order.

    `input`: where events enter, of a network with several inputs the door of all `parts`. A route
    with delay 0 reads the input or an earlier layer. `settings` records how the model was read
    and quantised. `memory` is the plan: {"flash": bytes, "ram": bytes, "stack": bytes} and more;
    `memory_basis` names the compiler it was measured with, "" if code is a bound.
    """

    name: str
    board: Board
    input: InputPort
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    dt: float
    memory: Mapping[str, int]
    scales: Mapping[str, Array]
    golden: Golden | None = None
    settings: Metadata = field(default_factory=lambda: MappingProxyType({}))
    target: str = "mcu"
    memory_basis: str = ""
    parts: tuple[InputPort, ...] = ()

    @property
    def c_name(self) -> str:
        """The name in files, functions and build targets."""
        return identifier(self.name)

    @property
    def input_type(self) -> str:
        """The C type of an event of the input."""
        return f"{self.c_name}_{'valued' if self.input.values else 'event'}"

    def layer(self, name: str) -> Layer:
        """The layer called `name`."""
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def port(self) -> StepInput:
        """The input as the model declares it."""
        events: EventKind = "binary" if self.input.max_count == 1 else "count"
        events = "value" if self.input.values else events
        parts = tuple(StepInput(part.name, part.shape, events) for part in self.parts)
        return StepInput(self.input.name, self.input.shape, events, parts)

    @property
    def inputs(self) -> tuple[InputPort, ...]:
        """What routes read: the input, or each of several."""
        return self.parts or (self.input,)

    @property
    def sent(self) -> dict[str, tuple[int, int]]:
        """{source: the least and the largest number one element sends in a step}."""
        spans = {x.name: (-x.payload, x.payload) if x.payload else (0, 1) for x in self.layers}
        return spans | {port.name: self.port.span for port in self.inputs}

    def valued(self, source: str) -> bool:
        """Whether the events of an input or layer carry values."""
        return self.sent[source][0] < 0

    @property
    def fires(self) -> dict[str, bool]:
        """{population: whether it sends spikes}."""
        return {layer.name: layer.fires for layer in self.layers}

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""
        first = [(layer.name, layer.variables[0]) for layer in self.layers]
        rest = [(layer.name, v) for layer in self.layers for v in layer.variables[1:]]
        return (*first, *rest)


KINDS = (
    Program,
    Golden,
    InputPort,
    Layer,
    Neurons,
    Route,
    DenseTable,
    SparseTable,
    ConvTable,
    Pool,
)
"""Every dataclass that a `Program` consists of."""
