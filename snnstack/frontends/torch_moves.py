"""Torch functions that only move elements, and what is left of a value that nothing can follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.frontends.torch_masks import chosen
from snnstack.frontends.torch_values import Value, attach, detach, opaque, tensors, value_of


def give(recorder: Any, outs: list[Any], value: Value | None) -> None:
    """Attach a value to what came out, or forget what that was."""
    for tensor in outs:
        if value is None:
            detach(tensor)
        else:
            recorder.tag(tensor, value)


def nothing(recorder: Any, name: str, args: Any, kwargs: Any) -> Value:
    """The value of a function that has no meaning in a network of spikes."""
    found: list[Value | None] = [recorder.used(t) for t in (*tensors(args), *tensors(kwargs))]
    known = [v for v in found if v is not None]
    for value in known:
        if value.op == "opaque":
            return replace(value, args=tuple(known))
    raw = known[0].op == "x" if known else False
    hint = "do this to the sample, before the module; or " if raw else ""
    hint += "use sums, scales, reshapes, Linear, Conv, pooling and spiking neurons between spikes"
    what = "is nothing that a network of spikes can do"
    return opaque(f"{name}()", what, hint, *known)


# Moving elements: the same function, applied to element numbers, says where each comes from.


def moved(recorder: Any, function: Any, name: str, args: Any, kwargs: Any, outs: Any) -> None:
    """Follow a function that moves elements of one tensor, by moving their numbers."""
    given = args[0]
    value = recorder.used(given)
    if value is None or value.op == "opaque":
        give(recorder, outs, value)
        return
    lead = value.lead
    numbers = _numbers(given.shape, lead)
    moved = [t for t in tensors(function(numbers, *args[1:], **kwargs))]
    for tensor, places in zip(outs, moved, strict=False):
        found = _placed(value, places, tuple(given.shape))
        if found is None:
            what = f"mixes steps or samples: {list(given.shape)} becomes {list(tensor.shape)}"
            found = opaque(f"{name}()", what, "move features only, inside a step", value)
        attach(tensor, found)


def taken(function: Any, name: str, args: Any, kwargs: Any, outs: Any) -> None:
    """Remember on elements that are moved out of collected results which neurons they are of."""
    value = value_of(args[0])
    if value is None or value.op != "opaque":
        return
    places = tensors(function(_numbers(args[0].shape, 0), *args[1:], **kwargs))
    for tensor, place in zip(outs, places, strict=False):
        attach(tensor, chosen(value, tuple(args[0].shape), place.numpy(), name))


def _numbers(shape: Any, lead: int) -> Any:
    """Element numbers within a sample, and the sample's own times their count."""
    import torch

    return torch.arange(int(np.prod(tuple(shape)))).reshape(tuple(shape))


def _placed(value: Value, places: Any, given: tuple[int, ...]) -> Value | None:
    """What a rearranged tensor is; None where its leading axes are not those of `value`."""
    per = int(np.prod(given[value.lead :], dtype=np.int64))
    samples = int(np.prod(given[: value.lead], dtype=np.int64))
    shape = tuple(places.shape)
    repeated = _repeated(places.numpy(), value.lead, given)
    if repeated:
        return replace(value, lead=repeated)
    for lead in range(len(shape) + 1):
        if int(np.prod(shape[:lead], dtype=np.int64)) != samples:
            continue
        numbers = places.numpy().reshape(samples, -1)
        if not np.array_equal(numbers // max(per, 1), _column(samples, numbers.shape[1])):
            continue
        within = numbers % max(per, 1)
        if not np.array_equal(within, np.broadcast_to(within[:1], within.shape)):
            continue
        if not _keeps(value, lead, shape, given):
            continue
        order, each = within[0], shape[lead:]
        if np.array_equal(order, np.arange(per)) and len(order) == per:
            same = Value("reshape", (value,), (), each, lead, value.binary)
            return replace(value, lead=lead) if each == value.shape else same
        return Value("gather", (value,), order.tobytes(), each, lead, value.binary, order)
    return None


def _repeated(places: Any, lead: int, given: tuple[int, ...]) -> int:
    """Leading axes where the same was put there for every step, in a new first axis; else 0."""
    whole = np.arange(int(np.prod(given, dtype=np.int64))).reshape(given)
    if lead < 2 and places.shape[1:] == given and np.all(places == whole):
        return lead + 1
    again = lead == 2 and given[0] == 1 < len(places) and places.shape[1:] == given[1:]
    return 2 if again and np.all(places == whole) else 0


def _column(rows: int, columns: int) -> Any:
    return np.broadcast_to(np.arange(rows)[:, None], (rows, columns))


def _keeps(value: Value, lead: int, shape: Any, given: Any) -> bool:
    """Leading axes stay; only two of them may become one and come back (steps and batch)."""
    if lead == value.lead:
        return tuple(shape[:lead]) == tuple(given[:lead]) or lead == 0
    return {lead, value.lead} == {1, 2}


def joined(recorder: Any, function: Any, name: str, args: Any, kwargs: Any, outs: Any) -> None:
    """Follow a function that lays tensors end to end, or on top of each other."""
    import torch

    parts = list(args[0] if args else kwargs["tensors"])
    values = [recorder.used(t) for t in parts]
    known = [v for v in values if v is not None]
    if len(known) < len(values) or any(v.op == "opaque" or v.lead != known[0].lead for v in known):
        give(recorder, outs, nothing(recorder, name, args, kwargs))
        return
    lead, start, numbers = known[0].lead, 0, []
    for part in parts:
        per = int(np.prod(tuple(part.shape[lead:]), dtype=np.int64))
        inner = torch.arange(start, start + per).reshape(tuple(part.shape[lead:]))
        numbers.append(inner.expand(tuple(part.shape)).contiguous())
        start += per
    rest = args[1:] if args else ()
    others = {k: v for k, v in kwargs.items() if k != "tensors"}
    places = next(tensors(function(numbers, *rest, **others)))
    shape, out = tuple(places.shape), outs[0]
    flat = places.numpy().reshape(int(np.prod(shape[:lead], dtype=np.int64)), -1)
    same = shape[:lead] == tuple(parts[0].shape[:lead]) and np.all(flat == flat[:1])
    if not same or flat.shape[1] != start:
        give(recorder, outs, nothing(recorder, name, args, kwargs))
        return
    binary = all(v.binary for v in known)
    key = flat[0].tobytes()
    attach(out, Value("gather", tuple(known), key, shape[lead:], lead, binary, flat[0]))
