"""Layers called as functions: `torch.nn.functional` and matrix products with constant weights."""

from __future__ import annotations

from typing import Any

from snnstack.frontends import torch_layers as layers
from snnstack.frontends import torch_modules as modules
from snnstack.frontends import torch_spatial as spatial
from snnstack.frontends.torch_modules import node
from snnstack.frontends.torch_values import Value, value_of


def read(recorder: Any, tensor: Any) -> Value | None:
    """The value of an operand; None for a number or an untraced tensor."""
    found: Value | None = recorder.used(tensor) if hasattr(tensor, "shape") else None
    return found


def weighted(recorder: Any, value: Value | None, *parts: Any) -> bool:
    """Whether only the input is traced; weights are constant."""
    return value is not None and all(p is None or value_of(p) is None for p in parts)


def linear(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`linear(input, weight, bias)`."""
    given, weight, bias = bound(args, kwargs, "input", "weight", "bias")
    value = read(recorder, given)
    if not weighted(recorder, value, weight, bias) or value is None:
        return None
    return matrix(value, layers.array(weight), None if bias is None else layers.array(bias))


def matrix(value: Value, weight: Any, bias: Any) -> Value:
    """The output of a fully connected layer."""
    key = ("linear", weight.tobytes(), None if bias is None else bias.tobytes())
    shape = (*value.shape[:-1], len(weight))
    return node(value, key, lambda _: [("", layers.dense(weight, bias))], shape)


def matmul(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`input @ weight`."""
    left, right = bound(args, kwargs, "input", "other")
    value = read(recorder, left)
    plain = value is not None and value_of(right) is None and right.ndim == 2
    return matrix(value, layers.array(right).T, None) if plain and value is not None else None


def addmm(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`bias + input @ weight`."""
    bias, given, weight = args[:3]
    value = read(recorder, given)
    if not weighted(recorder, value, weight, bias) or value is None or bias.ndim != 1:
        return None
    return matrix(value, layers.array(weight).T, layers.array(bias))


def bound(args: Any, kwargs: Any, *names: str) -> list[Any]:
    """Arguments by name, in the order of `names`."""
    found = dict(zip(names, args, strict=False)) | {k: v for k, v in kwargs.items() if k in names}
    return [found.get(name) for name in names]


def convolution(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`conv1d` and `conv2d`; zeros around the map before it are taken in."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given, weight, bias, stride, padding, dilation, groups = bound(args, kwargs, *names)
    value = read(recorder, given)
    if not weighted(recorder, value, weight, bias) or value is None:
        return None
    arrays = (layers.array(weight), None if bias is None else layers.array(bias))
    window = (stride or 1, 0 if padding is None else padding, dilation or 1, groups or 1)
    inner, around = spatial.unpadded(value)
    said = (str(window), around)
    key = ("conv", arrays[0].tobytes(), None if bias is None else arrays[1].tobytes(), said)  # type: ignore[union-attr]
    return node(inner, key, lambda _: [("", layers.convolution(*arrays, *window, around))], ())


def transposed(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`conv_transpose1d` and `conv_transpose2d`."""
    names = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
    given, weight, bias, stride, padding, more, groups, dilation = bound(args, kwargs, *names)
    value = read(recorder, given)
    if not weighted(recorder, value, weight, bias) or value is None:
        return None
    kernel, shift = layers.array(weight), None if bias is None else layers.array(bias)
    window = (stride or 1, padding or 0, more or 0, groups or 1, dilation or 1)
    key = ("conv", kernel.tobytes(), None if shift is None else shift.tobytes(), str(window))
    return node(value, key, spatial.transposed(kernel, shift, window), ())


def resized(function: Any, recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """A linear function of the places of a map, such as `interpolate`, by what it does."""
    value = read(recorder, args[0] if args else kwargs.get("input"))
    rest, said = args[1:], {k: v for k, v in kwargs.items() if k != "input"}
    if value is None or any(hasattr(v, "detach") for v in (*rest, *said.values())):
        return None
    name = getattr(function, "__name__", "resized")
    key = (name, repr((rest, sorted(said.items()))))
    axes = outs[0].ndim - value.lead - 1
    return spatial.over_places(lambda x: function(x, *rest, **said), key, value, axes)


def padded(function: Any, recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`pad`: zeros are taken into a convolution that follows."""
    given, sides, mode, fill = bound(args, kwargs, "input", "pad", "mode", "value")
    value = read(recorder, given)
    if value is None or (mode or "constant") != "constant":
        return None if value is None else resized(function, recorder, args, kwargs, outs)
    return None if fill else spatial.zeros(sides, ("pad",), value)


def average(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`avg_pool1d` and `avg_pool2d`."""
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad",
             "divisor_override")  # fmt: skip
    given, kernel, stride, padding, ceil, counted, divisor = bound(args, kwargs, *names)
    value, padding = read(recorder, given), padding or 0
    if value is not None and (ceil or (counted is False and any(layers.pair(padding)))):
        return resized(_average(value.shape), recorder, args, kwargs, outs)
    if value is None:
        return None
    window = (kernel, stride or kernel, padding, divisor)
    return node(value, ("avg_pool", window), layers.mean_pool(*window), ())


def _average(shape: Any) -> Any:
    from torch.nn import functional

    return functional.avg_pool1d if len(shape) == 2 else functional.avg_pool2d


def maximum(recorder: Any, args: Any, kwargs: Any, outs: Any) -> Value | None:
    """`max_pool1d` and `max_pool2d`."""
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    given, kernel, stride, padding, dilation, ceil = bound(args, kwargs, *names)
    value = read(recorder, given)
    if value is None:
        return None
    window = (kernel, stride or kernel, padding or 0, dilation or 1, bool(ceil))
    return modules.maximum("max_pool()", ("max_pool", str(window)), value, window)
