"""SpikingJelly's neurons: what each class computes, step by step, as IR nodes.

Found by reading and running SpikingJelly 2.0. A membrane begins at `v_reset`; here it begins at
0, so that everything is shifted by `v_reset`: the threshold is the distance between the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snnstack.frontends.torch_kind import Kind, fires_at
from snnstack.frontends.torch_layers import array
from snnstack.frontends.torch_time import per_step
from snnstack.ir.nodes import Leaf, Shape

CLASSES = ("IFNode", "LIFNode", "ParametricLIFNode", "CUBALIFNode")
SIMPLE = ("SimpleIFNode", "SimpleLIFNode")
SILENT = ("NonSpikingIFNode", "NonSpikingLIFNode")


def kind(module: Any) -> Kind | None:
    """A neuron class of SpikingJelly; None for anything else."""
    package = type(module).__mro__
    if not any(k.__module__.startswith("spikingjelly.activation_based.neuron") for k in package):
        return None
    form = (problems, neuron, clear)
    return Kind((), (), *form, sequence=sequence, membrane=membrane, silent=silent)


def class_name(module: Any) -> str:
    """Name of the class that a module is, "" where it computes something else."""
    from spikingjelly.activation_based import neuron as known

    for name in (*CLASSES, *SIMPLE, *SILENT):
        base = getattr(known, name, None)
        if base is None or not isinstance(module, base):
            continue
        steps = ("single_step_functional_forward", "neuronal_charge", "neuronal_reset", "forward")
        own = (getattr(type(module), step, None) is getattr(base, step, None) for step in steps)
        if all(own):
            return name
    return ""


def sequence(module: Any) -> bool:
    """Whether it takes all steps at once."""
    return silent(module) or str(getattr(module, "step_mode", "s")) == "m"


def silent(module: Any) -> bool:
    """Whether it is one of those that return their membrane."""
    return class_name(module) in SILENT


def membrane(module: Any) -> Any:
    """The membrane after a step, counted from `v_reset`; None after many steps at once."""
    return None if sequence(module) else module.v - (module.v_reset or 0.0)


def clear(module: Any) -> None:
    """Forget the states of earlier runs."""
    if hasattr(module, "reset"):
        module.reset()


def problems(module: Any) -> Iterator[tuple[str, str]]:
    """What cannot be expressed, and what would."""
    if not class_name(module):
        yield "is no neuron that can be expressed", f"use one of: {', '.join(CLASSES)}"
        return
    if silent(module):
        return
    if fires_at(module.surrogate_function) is None:
        hint = "use surrogate_function with spiking=True"
        yield "has a surrogate_function that is no step from 0 to 1", hint
    v_reset = module.v_reset
    if v_reset is not None and float(v_reset) >= float(module.v_threshold):
        yield f"resets to {v_reset}, not below its threshold", "choose v_reset below v_threshold"


def neuron(module: Any, shape: Shape, dt: float, fires: bool) -> Leaf:
    """The IR node of one step's equation, with membranes counted from `v_reset`."""
    name = class_name(module)
    if name in SILENT:
        share = 0.0 if name == "NonSpikingIFNode" else 1.0 / float(module.tau)
        return per_step(shape, dt, decay=1.0 - share, gain=share or 1.0, fires=False)
    soft = module.v_reset is None
    rest = 0.0 if soft else float(module.v_reset)
    said: dict[str, Any] = {
        "reset": "subtract" if soft else "zero",
        "compare": fires_at(module.surrogate_function),
        "v_threshold": float(module.v_threshold) - rest,
        "fires": fires,
    }
    if name in ("IFNode", "SimpleIFNode"):
        return per_step(shape, dt, decay=1.0, **said)
    if name == "CUBALIFNode":
        said |= {"decay": float(module.v_decay), "current": float(module.c_decay)}
        return per_step(shape, dt, leak=-rest, **said)
    rate = array(module.w.sigmoid()) if name == "ParametricLIFNode" else 1.0 / float(module.tau)
    gain = rate if module.decay_input else 1.0
    return per_step(shape, dt, decay=1.0 - rate, gain=gain, **said)
