"""The form of a program for a microcontroller: layers in memory order, ready to be C arrays.

"Memory order" of a population of shape (C, H, W) that a convolution reads or writes is
(H, W, C), channel last, so that one event adds contiguous rows; every other population keeps
C order. All integers here are final: the emulator and the firmware use the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from snnstack.board import Board
from snnstack.foreign_text import identifier
from snnstack.ir.nodes import Array, Compare, EventKind, Metadata, ResetTime, Shape, node
from snnstack.ir.step import Pool, StepInput, StepReset, size

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
    result; "full" exists for dense and convolution tables of 8 bits.
    """

    source: str
    delay: int
    table: Table
    pool: Pool | None = None
    form: Form = "events"


@node
class Layer:
    """One population with everything that enters it. Arrays int32 [n] in memory order.

    Arithmetic: see `snnstack.quant.network`. `alpha`, `beta`: 0..65536, 65536 means 1; with
    `alpha_bits`, `beta_bits` 32 int64 in 2**31..2**32, 2**32 means 1.
    `accumulator_bits` (16 or 32), `saturate_v`, `saturate_i`: proven by the compiler; where a
    flag is False the limit cannot be reached, so clipping would change nothing.
    `history`: how many steps of its own events the layer must keep.
    """

    name: str
    shape: Shape
    order: Order
    routes: tuple[Route, ...]
    alpha: Array
    beta: Array | None
    shift: int
    bias: Array
    leak: Array
    threshold: Array | None
    v_reset: Array
    reset: StepReset
    compare: Compare
    refractory: int
    accumulator_bits: Literal[16, 32]
    saturate_v: bool
    saturate_i: bool
    history: int
    reset_time: ResetTime = "now"
    alpha_bits: int = 16
    beta_bits: int = 16

    @property
    def n(self) -> int:
        """Number of neurons."""
        return size(self.shape)


@node
class InputPort:
    """Where events enter: element numbers in memory order, repeated for counts above one.

    `history`: how many steps of input events the network must keep (1: only the present).
    """

    name: str
    shape: Shape
    order: Order
    max_count: int
    history: int


@node
class Golden:
    """A short recorded run that the firmware can repeat by itself.

    `events[t]`: input event numbers of step t in memory order; `spikes[t]`: number of spikes
    of every layer in step t (int32 [steps, layers]); `checksum[t]`: uint32 sum of the final
    membranes of all layers after step t, modulo 2**32.
    """

    events: tuple[Array, ...]
    spikes: Array
    checksum: Array


@node
class Program:
    """Everything a microcontroller needs. `layers` stand in update order.

    A route with delay 0 reads the input or an earlier layer. `settings` records how the model
    was read and quantised. `memory` is the plan: {"flash": bytes, "ram": bytes, "stack": bytes}
    and more; `memory_basis` names the compiler it was measured with, "" if code is a bound.
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

    @property
    def c_name(self) -> str:
        """The name in files, functions and build targets."""
        return identifier(self.name)

    def layer(self, name: str) -> Layer:
        """The layer called `name`."""
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def port(self) -> StepInput:
        """The input as the model declares it."""
        events: EventKind = "binary" if self.input.max_count == 1 else "count"
        return StepInput(self.input.name, self.input.shape, events)

    @property
    def fires(self) -> dict[str, bool]:
        """{population: whether it sends spikes}."""
        return {layer.name: layer.threshold is not None for layer in self.layers}

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """Every (population, variable) that can be probed."""
        currents = [(layer.name, "i") for layer in self.layers if layer.beta is not None]
        return (*((layer.name, "v") for layer in self.layers), *currents)


KINDS = (Program, Golden, InputPort, Layer, Route, DenseTable, SparseTable, ConvTable, Pool)
"""Every dataclass that a `Program` consists of."""
