"""Which elements of the sample a tensor holds: its numbers are put in the sample's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.errors import ModelError, fail
from snnstack.frontends.torch_values import Value, opaque
from snnstack.ir.nodes import Array, Shape

MOST = 2**24
"""Element numbers that a float32 can hold."""
WHERE = "input"
AXES = (
    "the sample is [step, batch, ...], or whatever the module's forward takes; "
    "repeat or encode it before"
)


def marks(sample: Any) -> Any:
    """A float tensor of the sample's shape whose elements are their own numbers."""
    import torch

    if sample.numel() > MOST:
        what = f"the sample has {sample.numel()} elements, at most {MOST} to trace a module"
        raise fail(ModelError, WHERE, what, "give fewer samples or steps")
    return torch.arange(sample.numel(), dtype=sample.dtype).reshape(sample.shape)


def whole(sample: Any) -> Value:
    """The value of the sample itself; `data` is its shape."""
    return Value("sample", (), None, (), 0, False, tuple(sample.shape))


def coordinates(tensor: Any, shape: Shape) -> list[Array]:
    """For each axis of the sample, the position that every element of `tensor` came from."""
    numbers = np.rint(tensor.detach().double().cpu().numpy()).astype(np.int64)
    return list(np.unravel_index(np.clip(numbers, 0, int(np.prod(shape)) - 1), shape))


def consumed(tensor: Any, shape: Shape) -> dict[int, int]:
    """Axes of the sample of which `tensor` holds a single position, and that position.

    Under -1: the first axis of the sample that changes along the tensor's first axis, if any.
    """
    found = coordinates(tensor, shape)
    used = {k: int(c.flat[0]) for k, c in enumerate(found) if shape[k] > 1 and c.min() == c.max()}
    moving = [k for k, c in enumerate(found) if c.ndim and np.any(c[:1] != c)]
    return {**used, -1: moving[0]} if moving else used


def time_axis(seen: list[dict[int, int]]) -> int | None:
    """The axis of which every use of the sample holds one position, and not always the same."""
    common = set.intersection(*(set(one) for one in seen)) if seen else set()
    found = [axis for axis in sorted(common - {-1}) if len({one[axis] for one in seen}) > 1]
    return found[0] if found else None


@dataclass(frozen=True)
class Axes:
    """Axes of the sample: time (None: the same in every step), batch (None: none), features.

    `sequence`: modules take all steps at once, in a leading axis.
    """

    shape: Shape
    time: int | None
    batch: int | None
    sequence: bool = False

    @property
    def features(self) -> tuple[int, ...]:
        """The remaining axes."""
        return tuple(k for k in range(len(self.shape)) if k not in (self.time, self.batch))

    @property
    def feature_shape(self) -> Shape:
        """Shape of one step of one sample."""
        return tuple(self.shape[k] for k in self.features)

    @property
    def lead(self) -> int:
        """Leading axes of what modules are given."""
        return int(self.batch is not None) + int(self.sequence)

    def resolve(self, tensor: Any, shape: Shape, binary: bool) -> Value:
        """What a tensor made of the sample by reshaping and picking is."""
        lead, ahead = self.lead, self.lead
        if self._merged(tensor):
            ahead, steps = 1, shape[self.time or 0]
            tensor = tensor.reshape(steps, -1, *tensor.shape[1:])
        found = coordinates(tensor, shape)
        if self._not_repeated_yet(found, tensor):
            lead = ahead = 1
        if tensor.ndim < lead:
            return opaque(WHERE, f"is used with shape {list(tensor.shape)}", AXES)
        at: Any = None if self.time is None else self._step(found[self.time])
        if at == "mixed" or not self._batched(found, lead):
            what = f"is used with shape {list(tensor.shape)}, steps or samples mixed"
            return opaque(WHERE, what, AXES)
        first = (0,) * lead
        numbers = np.zeros(tensor.shape[lead:], dtype=np.int64)
        for axis in self.features:
            numbers = numbers * shape[axis] + found[axis][first]
        each = tuple(tensor.shape[lead:])
        return Value("x", (), at, each, ahead, binary, numbers.ravel())

    def _merged(self, tensor: Any) -> bool:
        """Whether steps and samples lie in one leading axis, as layers without memory like it."""
        if not self.sequence or self.batch is None or self.time is None or not tensor.ndim:
            return False
        both = self.shape[self.time] * self.shape[self.batch]
        return tensor.shape[0] == both and both > self.shape[self.time]

    def _step(self, position: Array) -> Any:
        if self.sequence:
            along = np.arange(len(position)).reshape(-1, *[1] * (position.ndim - 1))
            return "all" if np.all(position == along) else "mixed"
        return int(position.flat[0]) if position.min() == position.max() else "mixed"

    def _not_repeated_yet(self, found: list[Array], tensor: Any) -> bool:
        """Whether a static sample is used before it is repeated for all steps."""
        if not self.sequence or self.time is not None or self.batch is None or not tensor.ndim:
            return False
        position = found[self.batch]
        along = np.arange(len(position)).reshape(-1, *[1] * (position.ndim - 1))
        return len(position) == self.shape[self.batch] and bool(np.all(position == along))

    def _batched(self, found: list[Array], lead: int) -> bool:
        if self.batch is None:
            return True
        position = found[self.batch]
        axis = lead - 1
        if position.shape[axis] != self.shape[self.batch]:
            return False
        along = np.arange(position.shape[axis]).reshape(-1, *[1] * (position.ndim - axis - 1))
        return bool(np.all(position == along))
