"""What is given for a torch module: the module itself, and a sample that it can be run on."""

from __future__ import annotations

from typing import Any

from snnstack.door import shown
from snnstack.errors import ModelError, fail

COMPILED = ("torch.jit", "torch.export", "torch._export")
"""Where the classes of modules live that hold a graph of their own, not Python code to run."""
EAGER = "give the eager module that it was made of, with its weights: module.load_state_dict(...)"
ONE_INPUT = (
    "a network has one input: put them side by side and take them apart again, "
    "load(net, torch.cat(inputs, -1), forward=lambda net, x: net(x[..., :n], x[..., n:]))"
)
FLOAT = "a tensor or an array of finite numbers, [step, sample, ...] or what forward takes"


def is_module(model: Any) -> bool:
    """Whether `model` is a torch module of some kind, or what compilers of torch made of one."""
    return hasattr(model, "named_modules") or _compiled(model) is not None


def eager(module: Any) -> Any:
    """The module inside of what `torch.compile` or a parallel wrapper made; others as they are."""
    if type(module).__name__ == "OptimizedModule":
        return eager(module._orig_mod)
    if type(module).__name__ in ("DataParallel", "DistributedDataParallel"):
        return eager(module.module)
    return module


def check_module(module: Any) -> None:
    """ModelError unless it is a module whose Python code can be run and watched."""
    if isinstance(module, type):
        what = "is a class, not a module"
        raise fail(ModelError, module.__name__, what, f"give an instance: {module.__name__}(...)")
    found = _compiled(module)
    if found is not None:
        what = f"is {found}: compiled, its neurons cannot be watched"
        raise fail(ModelError, type(module).__name__, what, EAGER)
    for name, inner in module.named_modules():
        found = _compiled(inner)
        if found is not None:
            what = f"is {found}: compiled, what it does cannot be watched"
            raise fail(ModelError, name, what, EAGER)


def _compiled(module: Any) -> str | None:
    """What made a compiled module, None for an eager one."""
    if isinstance(module, type):
        return None
    names = [f"{k.__module__}.{k.__qualname__}" for k in type(module).__mro__]
    if type(module).__name__ == "ScriptFunction" or any(n.startswith("torch.jit") for n in names):
        return "TorchScript"
    # torch.export's modules are fx graphs that carry the signature of the export.
    if any(n.startswith(COMPILED) for n in names) or hasattr(module, "_guards_fn"):
        return "an exported program of torch.export"
    if "GraphModule" in type(module).__name__ and "_eval" in repr(vars(module).get("eval", "")):
        return "an exported program of torch.export"
    return None


def as_sample(module: Any, sample: Any) -> Any:
    """The sample as a dense tensor of the module's own number type; ModelError if it can be none.

    Several inputs are refused by name.
    """
    import torch

    tensor = _tensor(sample)
    if not tensor.numel():
        raise fail(ModelError, "input", "the sample is empty", "give at least two steps")
    if tensor.is_complex() or not bool(torch.isfinite(tensor.float()).all()):
        kind = "complex numbers" if tensor.is_complex() else "NaN or infinite values"
        raise fail(ModelError, "input", f"the sample has {kind}", FLOAT)
    kinds = (p.dtype for p in module.parameters() if p.is_floating_point())
    return tensor.to(next(kinds, torch.get_default_dtype()))


def _tensor(sample: Any) -> Any:
    import torch

    if isinstance(sample, tuple | list) and any(_has_axes(one) for one in sample):
        count = len(sample)
        what = f"the sample is {count} tensors, for {count} inputs" if count > 1 else ""
        what = what or "the sample is one tensor in a tuple or list"
        raise fail(ModelError, "input", what, ONE_INPUT if count > 1 else "give the tensor itself")
    if isinstance(sample, dict):
        what = f"the sample is named tensors, for the inputs {', '.join(map(str, sample))}"
        raise fail(ModelError, "input", what, ONE_INPUT)
    try:
        tensor = torch.as_tensor(sample).detach()
        tensor = tensor if tensor.layout == torch.strided else tensor.to_dense()
        return tensor.dequantize().cpu() if tensor.is_quantized else tensor.cpu()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        what = f"the sample is {type(sample).__name__} {shown(sample)}"
        raise fail(ModelError, "input", what, FLOAT) from error


def _has_axes(one: Any) -> bool:
    return hasattr(one, "detach") and getattr(one, "ndim", 0) > 0
