"""What a traced tensor is: an expression over inputs and spikes, attached to the tensor itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from snnstack.ir.nodes import Shape

TAG = "_snnstack_value"


@dataclass(frozen=True, eq=False)
class Value:
    """One node of an expression. `shape` is that of one sample, after `lead` leading axes.

    `op` and `key`:

    * "sample": the whole input, only reshaped so far; key: (scale, shift) it was multiplied with
      and moved by, None for neither. "x": key (step, None where it is the same in every step);
      data: for each element its number in the input.
    * "spikes" (neuron, call), "state" (neuron, call, variable), "zero".
    * "node": key tells equal ones; data(shape) makes the IR nodes, a list of (suffix, node).
    * "space": a "node" that does the same at every channel of a map.
    * "affine": data (scale, shift) per channel; "reshape"; "sum"; "gather": data: for each
      element its number in the arguments laid end to end; "max": data: its
      windows (`torch_spatial.in_windows`).
    * "at": its argument in a step, the key, of a module that goes through the steps by itself.
    * "gate": key ("and",) or ("or",); data: the sum of its arguments above which it is 1.
    * "opaque": key (where, what, hint): nothing that a network of spikes can do; data: its
      elements where they are constant, or what changed some of them (`torch_masks.Changed`).

    `binary`: every element is 0 or 1.
    """

    op: str
    args: tuple[Value, ...]
    key: Any
    shape: Shape
    lead: int
    binary: bool = False
    data: Any = None


def value_of(tensor: Any) -> Value | None:
    """The value attached to a tensor."""
    return getattr(tensor, TAG, None)


def attach(tensor: Any, value: Value) -> None:
    """Say what `tensor` is."""
    setattr(tensor, TAG, value)


def detach(tensor: Any) -> None:
    """Forget what `tensor` is."""
    if hasattr(tensor, TAG):
        delattr(tensor, TAG)


def tensors(values: Any) -> Iterator[Any]:
    """Every tensor in nested lists, tuples and dictionaries."""
    import torch

    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from tensors(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from tensors(value)


def opaque(where: str, what: str, hint: str, *args: Value) -> Value:
    """A value that nothing can be made of; an error only if a neuron needs it."""
    return Value("opaque", args, (where, what, hint), (), 0)
