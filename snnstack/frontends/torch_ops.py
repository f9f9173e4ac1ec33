"""What torch functions between modules do to a traced value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from snnstack.frontends import torch_functional as functions
from snnstack.frontends import torch_layers as layers
from snnstack.frontends import torch_logic as logic
from snnstack.frontends.torch_masks import Changed, mark, overwrites
from snnstack.frontends.torch_modules import node
from snnstack.frontends.torch_moves import give, joined, moved, nothing, taken
from snnstack.frontends.torch_rescale import plain_name, rescaled
from snnstack.frontends.torch_values import (
    Value,
    attach,
    opaque,
    tensors,
    value_of,
)

SAME = frozenset(
    """
    detach detach_ clone contiguous float double to type type_as requires_grad_ cpu alias dropout
    dropout1d dropout2d feature_dropout alpha_dropout data expand_as real
    """.split()  # noqa: SIM905
)
"""Functions that return what they are given, where shape and values stay."""
MOVES = frozenset(
    """
    view reshape flatten unflatten ravel permute transpose movedim moveaxis swapaxes swapdims t T mT
    __getitem__ select narrow unbind split chunk unsqueeze squeeze flip roll index_select cat concat
    concatenate stack hstack tile repeat expand broadcast_to view_as reshape_as __iter__
    tensor_split take_along_dim rot90 squeeze_ unsqueeze_ pixel_shuffle pixel_unshuffle
    channel_shuffle repeat_interleave
    """.split()  # noqa: SIM905
)
"""Functions that only move elements."""
JOINS = frozenset(("cat", "concat", "concatenate", "hstack", "stack"))
"""Those of several tensors."""


CONSTANT = frozenset(
    "zeros_like ones_like full_like new_zeros new_ones new_full empty_like new_empty".split()  # noqa: SIM905
)
"""Functions whose result does not depend on their argument's values."""


def record(recorder: Any, function: Any, args: Any, kwargs: Any, out: Any) -> None:
    """Attach to the tensors of `out` what `function` made of its arguments."""
    name = getattr(function, "__name__", str(function))
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    if name == "__setitem__":
        _written(recorder, args)
        return
    outs = [t for t in tensors(out) if t.is_floating_point()]
    if not outs:
        return
    given: list[Any] = [value_of(t) for t in (*tensors(args), *tensors(kwargs))]
    if name in CONSTANT:
        give(recorder, outs, None)
        return
    if name in SAME | MOVES and all(v is not None and v.op == "sample" for v in given):
        for tensor in outs:
            attach(tensor, given[0])
        return
    if rescaled(plain_name(name), args, kwargs, outs):
        return
    _followed(recorder, function, name, args, kwargs, outs)
    mark(name, args, kwargs, outs)


def _followed(
    recorder: Any, function: Any, name: str, args: Any, kwargs: Any, outs: list[Any]
) -> None:
    """What `function` made of signals, or that nothing can be made of it."""
    given = [value_of(t) for t in (*tensors(args), *tensors(kwargs))]
    blocked = any(v is not None and v.op == "opaque" for v in given)
    if recorder.axes is None or blocked:
        give(recorder, outs, nothing(recorder, name, args, kwargs))
        if name in MOVES and name not in JOINS:
            taken(function, name, args, kwargs, outs)
    elif name in SAME and len(outs) == 1 and _unchanged(args[0], outs[0]):
        give(recorder, outs, value_of(args[0]))
    elif name in JOINS:
        joined(recorder, function, name, args, kwargs, outs)
    elif name in MOVES:
        moved(recorder, function, name, args, kwargs, outs)
    else:
        handler: Any = HANDLERS.get(plain_name(name))
        if plain_name(name) in OVER_PLACES:
            handler = partial(OVER_PLACES[plain_name(name)], function)
        value = handler(recorder, args, kwargs, outs) if handler and len(outs) == 1 else None
        give(recorder, outs, value or nothing(recorder, name, args, kwargs))


def affine(value: Value, scale: float, shift: float) -> Value:
    """`scale * value + shift` with the same numbers for every element."""
    return _shifted(_scaled(value, scale), np.full(value.shape, shift))


def _unchanged(given: Any, out: Any) -> bool:
    return bool(given.shape == out.shape)


def _written(recorder: Any, args: Any) -> None:
    """`target[...] = value`: only good for collecting results."""
    target, parts = recorder.used(args[0]), [recorder.used(t) for t in tensors(args[1:])]
    known = [part for part in (target, *parts) if part]
    value = opaque("__setitem__()", "writes into a tensor", "", *known)
    if known and overwrites(target, [part for part in parts if part]):
        value = replace(value, data=Changed("__setitem__()"))
    attach(args[0], value)


# Arithmetic


def _constant(tensor: Any, value: Value, out: Any) -> Any:
    """A number or an untraced tensor as an array of one sample's shape; None if it varies."""
    import torch

    if not isinstance(tensor, torch.Tensor):
        return np.full(value.shape, tensor, dtype=float) if np.isscalar(tensor) else None
    if value_of(tensor) is not None:
        return None
    spread = layers.array(tensor.broadcast_to(out.shape)) if _fits(tensor, out) else None
    if spread is None:
        return None
    flat = spread.reshape(int(np.prod(out.shape[: value.lead], dtype=np.int64)), -1)
    return flat[0].reshape(out.shape[value.lead :]) if np.all(flat == flat[:1]) else None


def _fits(tensor: Any, out: Any) -> bool:
    return bool(tensor.ndim <= out.ndim)


def _operands(recorder: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    listed = [*args, *(kwargs[k] for k in ("input", "other") if k in kwargs)]
    return listed[0], listed[1] if len(listed) > 1 else None


def _sum(recorder: Any, args: Any, kwargs: Any, outs: Any, sign: float = 1.0) -> Value | None:
    left, right = _operands(recorder, args, kwargs)
    alpha = float(kwargs.get("alpha", 1.0)) * sign
    one, two = functions.read(recorder, left), functions.read(recorder, right)
    if one is not None and two is not None:
        if one.shape != two.shape or one.lead != two.lead:
            return None
        return Value("sum", (one, _scaled(two, alpha)), (), one.shape, one.lead)
    value = one if one is not None else two
    assert value is not None
    constant = _constant(right if one is not None else left, value, outs[0])
    if constant is None:
        return None
    if one is None and value.binary and alpha == -1.0 and np.all(constant == 1.0):
        return logic.complement(value)
    if one is None:
        value = _scaled(value, alpha)
    else:
        constant = constant * alpha
    return _shifted(value, constant)


def _shifted(value: Value, constant: Any) -> Value:
    if not np.any(constant):
        return replace(value)
    key = ("add", constant.tobytes())
    return node(value, key, layers.added(constant), value.shape)


def _scaled(value: Value, factor: Any) -> Value:
    """`factor * value`; a number, or one for each element of a sample."""
    from snnstack.ir.nodes import Scale

    if np.all(np.asarray(factor) == 1.0):
        return value
    full = np.broadcast_to(np.asarray(factor, dtype=np.float64), value.shape)

    def make(shape: Any) -> layers.Nodes:
        return [("", Scale(full.reshape(shape).copy()))]

    return node(value, ("scale", full.tobytes()), make, value.shape)


def _difference(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    return _sum(recorder, args, kwargs, outs, sign=-1.0)


def _reversed(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    left, right = _operands(recorder, args, kwargs)
    return _difference(recorder, (right, left), {}, outs)


def _product(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    left, right = _operands(recorder, args, kwargs)
    one, two = functions.read(recorder, left), functions.read(recorder, right)
    if one is not None and two is not None:
        joint = logic.product(one, two)
        if joint is not None:
            return joint
        hint = "only spikes, which are 0 or 1, can be multiplied; add them, or use constant weights"
        return opaque("mul()", "multiplies two signals", hint, one, two)
    value = one if one is not None else two
    assert value is not None
    constant = _constant(right if one is not None else left, value, outs[0])
    return None if constant is None else _scaled(value, constant)


def _quotient(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    left, right = _operands(recorder, args, kwargs)
    value = functions.read(recorder, left)
    constant = None if value is None else _constant(right, value, outs[0])
    return None if value is None or constant is None else _scaled(value, 1.0 / constant)


def _negative(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    value = functions.read(recorder, args[0])
    return None if value is None else _scaled(value, -1.0)


def _relu(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    value = functions.read(recorder, args[0])
    return value if value is not None and value.binary else None


def _total(recorder: Any, args: Any, kwargs: Any, outs: Any, mean: bool = False) -> Value | None:
    """A sum or mean over features: synapses that are all alike."""
    value = functions.read(recorder, args[0])
    dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if value is None or dims is None:
        return None
    axes = {
        d % args[0].ndim - value.lead for d in (dims if isinstance(dims, tuple | list) else (dims,))
    }
    numbers = np.arange(int(np.prod(value.shape, dtype=np.int64))).reshape(value.shape)
    if min(axes) < 0 or numbers.size**2 > layers.LARGEST:
        return None
    kept = [n for k, n in enumerate(value.shape) if k not in axes]
    order = np.moveaxis(numbers, sorted(axes), range(len(axes))).reshape(-1, int(np.prod(kept)))
    weight = np.zeros((order.shape[1], numbers.size))
    weight[np.arange(order.shape[1]), order] = 1.0 / len(order) if mean else 1.0
    key = ("mean" if mean else "sum", weight.tobytes())
    return Value("mix", (value,), key, (), value.lead, False, weight)


def _mean(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    return _total(recorder, args, kwargs, outs, mean=True)


HANDLERS: Mapping[str, Callable[[Any, Any, Any, Any], Value | None]] = MappingProxyType(
    {
        "add": _sum, "radd": _sum, "iadd": _sum,
        "sub": _difference, "isub": _difference, "subtract": _difference, "rsub": _reversed,
        "mul": _product, "rmul": _product, "imul": _product, "multiply": _product,
        "div": _quotient, "truediv": _quotient, "itruediv": _quotient, "divide": _quotient,
        "true_divide": _quotient, "neg": _negative, "negative": _negative, "relu": _relu,
        "sum": _total, "mean": _mean, "minimum": logic.smaller, "maximum": logic.larger,
        "linear": functions.linear, "matmul": functions.matmul, "mm": functions.matmul,
        "addmm": functions.addmm,
        "conv1d": functions.convolution, "conv2d": functions.convolution,
        "conv_transpose1d": functions.transposed, "conv_transpose2d": functions.transposed,
        "avg_pool1d": functions.average, "avg_pool2d": functions.average,
        "max_pool1d": functions.maximum, "max_pool2d": functions.maximum,
        "boolean_dispatch": functions.maximum,
    }
)  # fmt: skip
"""Functions by name, without underscores around it."""
OVER_PLACES: Mapping[str, Callable[..., Value | None]] = MappingProxyType(
    {
        "interpolate": functions.resized, "upsample": functions.resized,
        "upsample_nearest": functions.resized, "upsample_bilinear": functions.resized,
        "adaptive_avg_pool1d": functions.resized, "adaptive_avg_pool2d": functions.resized,
        "pad": functions.padded,
    }
)  # fmt: skip
"""Those that need to be called again, to see what they do at every place of a map."""
