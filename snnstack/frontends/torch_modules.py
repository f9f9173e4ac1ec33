"""Which modules a trace stops at, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snnstack.frontends import torch_layers as layers
from snnstack.frontends import torch_spatial as spatial
from snnstack.frontends.torch_values import Value, opaque

Handler = Callable[[Any, str, Value], Value]


def layer(module: Any) -> Handler | None:
    """What makes a value of a stateless module's output; None: look inside instead.

    A subclass that computes something else than its base is looked into.
    """
    from torch import nn

    moving = (nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
    if isinstance(module, moving):
        return None
    if type(module).__module__.startswith("spikingjelly.activation_based.layer"):
        return _spikingjelly(module)
    for kind, handler in _handlers().items():
        if isinstance(module, kind) and type(module).forward is kind.forward:
            return handler
    inside = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.DataParallel)
    if type(module).__module__.startswith("torch.nn") and not isinstance(module, inside):
        return _refused
    return None


def _spikingjelly(module: Any) -> Handler | None:
    """SpikingJelly's layers are torch's with a time axis in front."""
    kinds = [k for k in type(module).__mro__[1:] if k.__module__.startswith("torch.nn.modules")]
    known = _handlers()
    name = type(module).__name__
    if name.startswith(("Dropout", "PrintShape")):
        return _same
    if name in ("ThresholdDependentBatchNorm1d", "ThresholdDependentBatchNorm2d"):
        return _norm
    if (kinds and kinds[0].__name__ == name) or name in ("BatchNorm1d", "BatchNorm2d"):
        for kind, handler in known.items():
            if isinstance(module, kind):
                return handler
        return _refused
    return None if name in CONTAINERS else _refused


CONTAINERS = frozenset(
    ("MultiStepContainer", "SeqToANNContainer", "StepModeContainer", "WSLinear", "WSConv2d",
     "ElementWiseRecurrentContainer", "LinearRecurrentContainer", "Flatten", "VotingLayer", "Delay")
)  # fmt: skip
"""SpikingJelly's modules that are looked into."""


def _handlers() -> dict[Any, Handler]:
    from torch import nn

    return {
        nn.Linear: _linear,
        nn.Conv1d: _conv,
        nn.Conv2d: _conv,
        nn.ConvTranspose1d: _conv_transposed,
        nn.ConvTranspose2d: _conv_transposed,
        nn.AvgPool1d: _average,
        nn.AvgPool2d: _average,
        nn.AdaptiveAvgPool1d: _adaptive,
        nn.AdaptiveAvgPool2d: _adaptive,
        nn.AdaptiveMaxPool1d: _largest,
        nn.AdaptiveMaxPool2d: _largest,
        nn.LPPool1d: _lp_pool,
        nn.LPPool2d: _lp_pool,
        nn.Upsample: spatial.module,
        nn.UpsamplingNearest2d: spatial.module,
        nn.UpsamplingBilinear2d: spatial.module,
        nn.ZeroPad1d: _zeros,
        nn.ZeroPad2d: _zeros,
        nn.ConstantPad1d: _zeros,
        nn.ConstantPad2d: _zeros,
        nn.ReflectionPad1d: spatial.module,
        nn.ReflectionPad2d: spatial.module,
        nn.ReplicationPad1d: spatial.module,
        nn.ReplicationPad2d: spatial.module,
        nn.CircularPad1d: spatial.module,
        nn.CircularPad2d: spatial.module,
        nn.MaxPool1d: _maximum,
        nn.MaxPool2d: _maximum,
        nn.BatchNorm1d: _norm,
        nn.BatchNorm2d: _norm,
        nn.Dropout: _same,
        nn.Dropout1d: _same,
        nn.Dropout2d: _same,
        nn.AlphaDropout: _same,
        nn.Identity: _same,
    }


def _same(module: Any, name: str, value: Value) -> Value:
    """Dropout and the like: nothing in evaluation."""
    return value


def node(value: Value, key: Any, make: layers.Make, shape: Any, binary: bool = False) -> Value:
    """The output of IR nodes that `make` makes; `shape` of one sample."""
    return Value("node", (value,), key, tuple(shape), value.lead, binary, make)


def _linear(module: Any, name: str, value: Value) -> Value:
    def make(shape: Any) -> layers.Nodes:
        bias = None if module.bias is None else layers.array(module.bias)
        return [("", layers.dense(layers.array(module.weight), bias))]

    return node(value, (name,), make, (*value.shape[:-1], module.out_features))


def _conv(module: Any, name: str, value: Value) -> Value:
    if module.padding_mode != "zeros":
        value = _conv_padded(module, name, value)
        padding: Any = 0
    else:
        padding = module.padding
    inner, around = spatial.unpadded(value)

    def make(shape: Any) -> layers.Nodes:
        bias = None if module.bias is None else layers.array(module.bias)
        window = (module.stride, padding, module.dilation, module.groups)
        return [("", layers.convolution(layers.array(module.weight), bias, *window, around))]

    return node(inner, (name, around), make, ())


def _conv_padded(module: Any, name: str, value: Value) -> Value:
    """What a convolution pads by other means than zeros."""
    from torch.nn import functional

    mode, sides = module.padding_mode, list(module._reversed_padding_repeated_twice)
    made = spatial.over_places(
        lambda x: functional.pad(x, sides, mode=mode), (f"{name}_pad",), value, len(sides) // 2
    )
    what = f"pads the shape {list(value.shape)} with {mode!r}"
    return made or opaque(said(name, module), what, "give it maps [channel, ...]", value)


def _conv_transposed(module: Any, name: str, value: Value) -> Value:
    window = (module.stride, module.padding, module.output_padding, module.groups, module.dilation)
    bias = None if module.bias is None else layers.array(module.bias)
    return node(value, (name,), spatial.transposed(layers.array(module.weight), bias, window), ())


def _zeros(module: Any, name: str, value: Value) -> Value:
    """ZeroPad, and ConstantPad with 0."""
    if getattr(module, "value", 0.0) != 0.0:
        hint = "pad with zeros, or give the sample padded"
        return opaque(said(name, module), f"pads with {module.value}", hint, value)
    made = spatial.zeros(module.padding, (name,), value)
    what = f"gets the shape {list(value.shape)}"
    return made or opaque(said(name, module), what, "give it maps [channel, ...]", value)


def _average(module: Any, name: str, value: Value) -> Value:
    divisor = getattr(module, "divisor_override", None)
    padded = any(layers.pair(module.padding)) and not module.count_include_pad
    if module.ceil_mode or padded:
        return spatial.module(module, name, value)
    make = layers.mean_pool(module.kernel_size, module.stride, module.padding, divisor)
    return node(value, (name,), make, ())


def _adaptive(module: Any, name: str, value: Value) -> Value:
    wanted, given = module.output_size, value.shape[-2:]
    out = wanted if isinstance(wanted, tuple) else (wanted, wanted)
    flat = len(value.shape) != 3 or type(module).__name__.endswith("1d")
    if flat or any(o is None or g % o for o, g in zip(out, given, strict=True)):
        return spatial.module(module, name, value)
    window = tuple(g // o for o, g in zip(out, given, strict=True))
    return node(value, (name, window), layers.mean_pool(window, window, 0), ())


def _lp_pool(module: Any, name: str, value: Value) -> Value:
    if module.norm_type == 1 and (module.ceil_mode or type(module).__name__.endswith("1d")):
        return spatial.module(module, name, value)
    if module.norm_type != 1:
        hint = "norm_type=1 is a sum; others are not linear"
        return opaque(said(name, module), f"is a norm of order {module.norm_type}", hint, value)
    stride = module.kernel_size if module.stride is None else module.stride
    return node(value, (name,), layers.sums_over_windows(module.kernel_size, stride, 0), ())


def _maximum(module: Any, name: str, value: Value) -> Value:
    size = (module.kernel_size, module.stride, module.padding)
    window = (*size, module.dilation, module.ceil_mode)
    return maximum(said(name, module), (name,), value, window, not module.return_indices)


def _largest(module: Any, name: str, value: Value) -> Value:
    """AdaptiveMaxPool."""
    window = (type(module).__name__,)
    return maximum(said(name, module), (name,), value, window, not module.return_indices)


def maximum(where: str, key: Any, value: Value, window: Any, fits: bool = True) -> Value:
    """The maximum of spikes is whether there is one: a sum and a threshold."""
    if not value.binary:
        what = "takes the maximum of currents, not of spikes"
        hint = "put it behind the spiking neuron, or use AvgPool2d"
        return opaque(where, what, hint, value)
    if not fits:
        return opaque(where, "returns where its maxima are", "return_indices=False", value)
    return Value("max", (value,), key, (), value.lead, True, window)


def _norm(module: Any, name: str, value: Value) -> Value:
    found = layers.batchnorm(module)
    if found is None:
        hint = "train it with track_running_stats=True"
        return opaque(said(name, module), "has no running statistics", hint, value)
    return Value("affine", (value,), (name,), value.shape, value.lead, False, found)


HINTS = {
    "ReLU": "use a spiking neuron in its place, or convert the trained network from ONNX",
    "LSTM": "use a recurrent spiking neuron, such as RLeaky",
    "GRU": "use a recurrent spiking neuron, such as RLeaky",
    "RNN": "use a recurrent spiking neuron, such as RLeaky",
    "LayerNorm": "use BatchNorm, which can be folded into the weights",
    "GroupNorm": "use BatchNorm, which can be folded into the weights",
    "InstanceNorm2d": "use BatchNorm, which can be folded into the weights",
    "Softmax": "apply it to the network's result, outside the network",
}


def _refused(module: Any, name: str, value: Value) -> Value:
    kind = type(module).__name__
    hint = HINTS.get(kind, "leave it out, or use Linear, Conv, pooling, BatchNorm, neurons")
    return opaque(said(name, module), "is nothing that a network of spikes can do", hint, value)


def said(name: str, module: Any) -> str:
    """A module as messages name it."""
    return f"{name} ({type(module).__name__})"
