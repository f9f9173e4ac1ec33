"""The nodes of a `Graph`: NIR's names, SI units and equations, plus what hardware must know.

Every parameter of a neuron node is an array of the population's shape. Arrays are read-only.
Equations: Pedersen et al., "Neuromorphic intermediate representation", Nat. Commun. 15, 8122
(2024). What NIR cannot say has a default that means "as NIR's equation".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeVar, dataclass_transform, get_args

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.model import Model
from snnstack.dynamics.rule import Plastic

Array = NDArray[Any]
Shape = tuple[int, ...]
Metadata = Mapping[str, Any]

Reset = Literal["v_reset", "zero", "subtract", "none"]
"""What a spike does to the membrane: set it to `v_reset` or 0, subtract the threshold, nothing."""
ResetTime = Literal["now", "next", "next_all", "recheck"]
"""When: at the end of the spike's own step ("now", as in NIR), or in the next step's update.

"next": the threshold is subtracted after the decay, or the old membrane is replaced before it;
"next_all": the whole updated membrane is replaced, so that this step's input is lost; "recheck":
subtracts now, but a membrane still above its threshold afterwards fires in the next step only
above twice the threshold (snnTorch's `reset_delay=False`).
"""
Compare = Literal["gt", "ge"]
"""When a neuron fires: `v > v_threshold` or `v >= v_threshold`."""
EventKind = Literal["binary", "count", "value", "real"]
"""What an input carries per step: 0/1, a count 0..255 of spikes, a whole number within +-32767
that is one event, or any number (float runs only)."""
Padding = tuple[int, ...] | Literal["same", "valid"]

RESETS: tuple[str, ...] = get_args(Reset)
RESET_TIMES: tuple[str, ...] = get_args(ResetTime)
COMPARES: tuple[str, ...] = get_args(Compare)

_Node = TypeVar("_Node")


def read_only(values: Any, dtype: Any = None) -> Array:
    """`values` as a C-contiguous array that nobody can write to; copied if it could be."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.flags.writeable = False
    return array


def _freeze(self: Any) -> None:
    for item in fields(self):
        value = getattr(self, item.name)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            object.__setattr__(self, item.name, read_only(value))
        elif isinstance(value, dict):
            object.__setattr__(self, item.name, MappingProxyType(_held(value)))


def _held(content: dict[str, Any]) -> dict[str, Any]:
    """The same with arrays that nobody can write to."""
    return {
        k: read_only(v) if isinstance(v, np.ndarray) and v.flags.writeable else v
        for k, v in content.items()
    }


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def node(cls: type[_Node]) -> type[_Node]:
    """A frozen dataclass whose arrays become read-only and whose dictionaries cannot change."""
    cls.__post_init__ = _freeze  # type: ignore[attr-defined]
    return dataclass(frozen=True, eq=False)(cls)


def _no_metadata() -> Metadata:
    return MappingProxyType({})


metadata_field: Callable[[], Any] = lambda: field(default_factory=_no_metadata)  # noqa: E731


@node
class Input:
    """Where spikes enter. `shape` is that of one step of one sample."""

    shape: Shape
    events: EventKind = "count"
    metadata: Metadata = metadata_field()


@node
class Output:
    """Where results leave."""

    shape: Shape
    metadata: Metadata = metadata_field()


@node
class Linear:
    """`y = W x`; `weight` [..., out, in]; `delay` per synapse, in steps, of the weight's shape.

    `rule`: how the synapses learn; they start from `weight`, zeros are synapses too.
    """

    weight: Array
    delay: Array | None = None
    metadata: Metadata = metadata_field()
    rule: Plastic | None = None


@node
class Affine:
    """`y = W x + b`; `weight` [..., out, in], `bias` [..., out]; the rest as in `Linear`."""

    weight: Array
    bias: Array
    delay: Array | None = None
    metadata: Metadata = metadata_field()
    rule: Plastic | None = None


@node
class Scale:
    """`y = s * x`, element by element."""

    scale: Array
    metadata: Metadata = metadata_field()


@node
class Conv1d:
    """Cross-correlation over one axis: `weight` [C_out, C_in / groups, K]; input [C_in, N]."""

    input_shape: int | None
    weight: Array
    stride: int
    padding: int | Literal["same", "valid"]
    dilation: int
    groups: int
    bias: Array
    metadata: Metadata = metadata_field()


@node
class Conv2d:
    """Cross-correlation over two axes: `weight` [C_out, C_in / groups, K_y, K_x]."""

    input_shape: tuple[int, int] | None
    weight: Array
    stride: tuple[int, int]
    padding: tuple[int, int] | Literal["same", "valid"]
    dilation: tuple[int, int]
    groups: int
    bias: Array
    metadata: Metadata = metadata_field()


@node
class SumPool2d:
    """Sum over windows of [C, H, W]."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    metadata: Metadata = metadata_field()


@node
class AvgPool2d:
    """Mean over windows of [C, H, W]; padding counts as zeros."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    metadata: Metadata = metadata_field()


@node
class Flatten:
    """Reshape: the axes `start_dim` to `end_dim` (both counted without batch) become one.

    With `into` they become those axes instead, which hold as many elements in the same order.
    """

    input_shape: Shape | None
    start_dim: int
    end_dim: int
    metadata: Metadata = metadata_field()
    into: Shape | None = None


@node
class Delay:
    """`y(t) = x(t - delay)`; seconds, one per element."""

    delay: Array
    metadata: Metadata = metadata_field()


@node
class Threshold:
    """`y = H(x - threshold)`, without state."""

    threshold: Array
    compare: Compare = "gt"
    metadata: Metadata = metadata_field()


@node
class I:  # noqa: E742 - NIR's name
    """`dv/dt = r x`: an integrator that does not fire."""

    r: Array
    metadata: Metadata = metadata_field()


@node
class IF:
    """`dv/dt = r x`; fires when v passes `v_threshold`."""

    r: Array
    v_reset: Array
    v_threshold: Array
    reset: Reset = "v_reset"
    refractory: float = 0.0
    compare: Compare = "gt"
    reset_time: ResetTime = "now"
    metadata: Metadata = metadata_field()


@node
class LI:
    """`tau dv/dt = (v_leak - v) + r x`: a leaky integrator that does not fire."""

    tau: Array
    r: Array
    v_leak: Array
    metadata: Metadata = metadata_field()


@node
class LIF:
    """`tau dv/dt = (v_leak - v) + r x`; fires when v passes `v_threshold`."""

    tau: Array
    r: Array
    v_leak: Array
    v_reset: Array
    v_threshold: Array
    reset: Reset = "v_reset"
    refractory: float = 0.0
    compare: Compare = "gt"
    reset_time: ResetTime = "now"
    metadata: Metadata = metadata_field()


@node
class CubaLI:
    """`tau_syn di/dt = -i + w_in x`; `tau_mem dv/dt = (v_leak - v) + r i`; does not fire."""

    tau_syn: Array
    tau_mem: Array
    r: Array
    v_leak: Array
    w_in: Array
    metadata: Metadata = metadata_field()


@node
class CubaLIF:
    """`tau_syn di/dt = -i + w_in x`; `tau_mem dv/dt = (v_leak - v) + r i`; fires."""

    tau_syn: Array
    tau_mem: Array
    r: Array
    v_leak: Array
    v_reset: Array
    v_threshold: Array
    w_in: Array
    reset: Reset = "v_reset"
    refractory: float = 0.0
    compare: Compare = "gt"
    reset_time: ResetTime = "now"
    metadata: Metadata = metadata_field()


@node
class Cells:
    """Neurons of any model of `snnstack.dynamics`, in steps of the graph's time step.

    `values`: by parameter a number, or an array that can be spread over `shape`; `options` as
    the model has them; `initial`: states that do not begin at 0, as `values`.
    """

    shape: Shape
    model: Model
    values: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    initial: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Metadata = metadata_field()


Stateless = Linear | Affine | Scale | Conv1d | Conv2d | SumPool2d | AvgPool2d | Flatten | Delay
Neuron = Threshold | I | IF | LI | LIF | CubaLI | CubaLIF | Cells
Spiking = IF | LIF | CubaLIF
Leaf = Input | Output | Stateless | Neuron

NEURONS = (Threshold, I, IF, LI, LIF, CubaLI, CubaLIF, Cells)
SPIKING = (IF, LIF, CubaLIF)
KINDS: Mapping[str, type[Any]] = MappingProxyType(
    {kind.__name__: kind for kind in get_args(Leaf) if kind is not Cells}
)
"""Every leaf node type by its NIR name."""
