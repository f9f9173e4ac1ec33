"""A result that is not what its neurons sent: elements replaced, weighted or left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snnstack.errors import Problem
from snnstack.frontends.torch_rescale import plain_name
from snnstack.frontends.torch_values import Value, attach, tensors, value_of

REPLACING = frozenset(
    """
    fill flip index_copy index_fill index_put masked_fill masked_scatter masked_select roll rot90
    scatter tril triu where zero
    """.split()  # noqa: SIM905
)
"""Functions that put other values, or other elements, in the place of elements."""
FACTORS = frozenset(
    """
    mul rmul imul multiply div truediv itruediv divide true_divide neg negative
    """.split()  # noqa: SIM905
)
"""Functions with a factor, whose sign counts."""
HINT = "do it to the network's result, outside of the module; outputs=['{}'] leaves it out"


@dataclass(frozen=True)
class Changed:
    """In the data of an opaque value: the function that changed elements of it unlike others."""

    function: str


@dataclass(frozen=True, eq=False)
class Laid:
    """In the data of an opaque value: for each element the number of the neuron that sent it."""

    neurons: Any


def chosen(value: Value, given: tuple[int, ...], places: Any, name: str) -> Value:
    """What is left of results of many steps when elements are moved or taken: `places` in them.

    Steps and samples may be chosen; neurons that are left out or reordered are a change, as they
    are within a step.
    """
    neurons = _neuron_numbers(value, given)
    if neurons is None:
        return value
    count = int(neurons.max()) + 1
    taken = neurons.ravel()[places]
    rows = taken.reshape(-1, count) if taken.size % count == 0 else taken.reshape(-1, 1)
    alike = taken.size > 0 and np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape))
    reordered = alike and np.array_equal(np.sort(rows[0]), np.arange(count))
    reordered = reordered and not np.array_equal(rows[0], np.arange(count))
    if len(set(np.bincount(taken.ravel(), minlength=count))) > 1 or reordered:
        plain = plain_name(name)
        function = "indexing" if plain == "getitem" else f"{plain}()"
        return replace(value, data=Changed(function))
    return replace(value, data=Laid(taken))


def _neuron_numbers(value: Value, given: tuple[int, ...]) -> Any:
    """For each element of a tensor [..., *shape of a population] its neuron; None: not known."""
    if isinstance(value.data, Laid) and value.data.neurons.shape == given:
        return value.data.neurons
    shapes = {inner.shape for inner in _senders(value)}
    if value.data is not None or len(shapes) != 1:
        return None
    (shape,) = shapes
    count = int(np.prod(shape, dtype=np.int64))
    if not count or not (given[-len(shape) :] == shape or given[-1:] == (count,)):
        return None
    return (np.arange(int(np.prod(given, dtype=np.int64))) % count).reshape(given)


def _senders(value: Value) -> Iterator[Value]:
    """Spikes and states that an expression is made of."""
    if value.op in ("spikes", "state"):
        yield value
    else:
        for inner in value.args:
            yield from _senders(inner)


def mark(name: str, args: Any, kwargs: Any, outs: list[Any]) -> None:
    """Remember on what came out that `name` does not do the same to every element."""
    if not _changes(plain_name(name), args, kwargs):
        return
    for tensor in outs:
        value = value_of(tensor)
        if value is not None and value.op == "opaque":
            attach(tensor, replace(value, data=Changed(f"{plain_name(name)}()")))


def _changes(name: str, args: Any, kwargs: Any) -> bool:
    if name in REPLACING:
        return True
    constants = [t for t in (*tensors(args), *tensors(kwargs)) if value_of(t) is None]
    if name == "getitem":  # whole numbers choose steps
        return any(str(t.dtype) == "torch.bool" for t in constants)
    if name in FACTORS:
        numbers: list[Any] = [a for a in args if np.isscalar(a)]
        turned = name.startswith("neg") or not all(n > 0 for n in numbers)
        return turned or any(_unlike(t) or bool((t <= 0).any()) for t in constants)
    return any(t.is_floating_point() and _unlike(t) for t in constants)


def _unlike(tensor: Any) -> bool:
    return not bool((tensor == tensor.flatten()[:1]).all())


def overwrites(target: Value | None, parts: list[Value]) -> bool:
    """Whether an assignment to elements of `target` takes away what neurons sent.

    Collecting results in a tensor of zeros does not.
    """
    collecting = target is None or (target.op == "opaque" and target.key[0] == "__setitem__()")
    return not collecting or not parts


def problems(returned: Sequence[Value | None], read: Sequence[Value]) -> Iterator[Problem]:
    """Changes of the results that are `read`, where they are not also returned as they are."""
    kept = [value for value in returned if value is not None]
    wanted = {(value.op, value.key[0]) for value in read if value.op in ("spikes", "state")}
    wanted -= {found for value in kept if not any(_changed(value)) for found in _neurons(value)}
    said = dict.fromkeys(
        (function, name)
        for value in kept
        for inner, function in _changed(value)
        for op, name in _neurons(inner)
        if (op, name) in wanted
    )
    for function, name in said:
        what = f"changes some elements of what {name!r} sends, and the network would not"
        yield Problem(function, what, HINT.format(name))


def _changed(value: Value) -> Iterator[tuple[Value, str]]:
    """Where a result's elements were changed on the way from the neurons, and by what."""
    if value.op not in ("opaque", "reshape", "sum", "gather", "at") and not _arithmetic(value):
        return
    function = _function(value)
    if function:
        yield value, function
        return
    for inner in value.args:
        yield from _changed(inner)


def _arithmetic(value: Value) -> bool:
    return value.op == "node" and value.key[0] in ("scale", "add")


def _function(value: Value) -> str | None:
    """The function of torch that changed elements here, if one did."""
    if value.op == "opaque" and isinstance(value.data, Changed):
        return value.data.function
    if _arithmetic(value):
        numbers = np.frombuffer(value.key[1], dtype=np.float64)
        scales = value.key[0] == "scale"
        unlike = bool((numbers != numbers[:1]).any() or (scales and (numbers <= 0).any()))
        return ("mul()" if scales else "add()") if unlike else None
    if value.op == "gather":
        whole = sum(int(np.prod(inner.shape, dtype=np.int64)) for inner in value.args)
        return None if np.array_equal(value.data, np.arange(whole)) else "indexing"
    return None


def _neurons(value: Value) -> Iterator[tuple[str, str]]:
    """("spikes" or "state", neuron) that an expression is made of."""
    for inner in _senders(value):
        yield inner.op, inner.key[0]
