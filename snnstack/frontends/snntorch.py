"""snnTorch's neurons: what each class computes, step by step, as IR nodes.

Found by reading and running snnTorch 1.0. `docs/frontends.md` has the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnstack.frontends.torch_kind import Kind, fires_at
from snnstack.frontends.torch_layers import Nodes, array, convolution, dense, pair
from snnstack.frontends.torch_time import per_step
from snnstack.ir.nodes import Array, Leaf, Reset, ResetTime, Scale, Shape

STATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Leaky": (("mem",), ("mem",)),
    "Lapicque": (("mem",), ("mem",)),
    "Synaptic": (("syn", "mem"), ("syn", "mem")),
    "RLeaky": (("spk", "mem"), ("mem",)),
    "RSynaptic": (("spk", "syn", "mem"), ("syn", "mem")),
    "Alpha": (("syn_exc", "syn_inh", "mem"), ("syn_exc", "syn_inh", "mem")),
}
"""Class: (states that forward takes after the input, states it returns after the spikes)."""
RESETS = {"subtract": "_base_sub", "zero": "_base_zero", "none": "_base_int"}
"""The method that computes a step of a neuron made with a reset_mechanism."""


def kind(module: Any) -> Kind | None:
    """A neuron class of snnTorch; None for anything else."""
    import snntorch

    if not isinstance(module, snntorch.SpikingNeuron):
        return _other(module)
    name = class_name(module)
    states, variables = STATES.get(name, ((), ("mem",)))
    late = name == "Alpha"
    return Kind(states, variables, problems, neuron, clear, recurrent, factor=factor, late=late)


def _other(module: Any) -> Kind | None:
    """Other modules of snnTorch, refused by name."""
    if not type(module).__module__.startswith("snntorch._neurons"):
        return None
    if type(module).__name__ == "RecurrentOneToOne":
        return None
    return Kind((), (), problems, neuron, lambda module: None)


def class_name(module: Any) -> str:
    """Name of the class of snnTorch that a module is, "" where a subclass computes its own."""
    import snntorch

    for name in STATES:
        base = getattr(snntorch, name)
        if isinstance(module, base) and type(module).forward is base.forward:
            return name
    return ""


def problems(module: Any) -> Iterator[tuple[str, str]]:
    """What cannot be expressed, and what would."""
    name = class_name(module)
    if not name:
        known = ", ".join(STATES)
        yield "is no neuron that can be expressed", f"use one of: {known}"
        return
    if module.inhibition:
        yield "inhibits all neurons but the strongest", "train it with inhibition=False"
    if module.state_quant:
        yield "quantises its state", "train it with state_quant=False; the target quantises"
    if fires_at(module.spike_grad) is None:
        yield "has a spike_grad that is no step from 0 to 1", "use one of snntorch.surrogate"
    reset = module.reset_mechanism
    if module.state_function.__name__ != RESETS[reset]:
        what = f"had its reset_mechanism changed to {reset!r} after it was made, which half of it"
        yield f"{what} follows", "give reset_mechanism to the constructor"
    if name == "Alpha" and reset != "none":
        what = f"resets two currents at once (reset_mechanism={reset!r})"
        yield what, "use Synaptic, or Alpha with reset_mechanism='none'"
    if name == "RSynaptic" and not module.reset_delay and reset != "none":
        hint = "use reset_delay=True: snnTorch computes this with the spikes of the step before"
        yield "has reset_delay=False", hint
    if reset == "zero" and bool((module.threshold < 0).any()):
        yield "has a threshold below 0 that it is reset to zero from", "use thresholds above 0"


def clear(module: Any) -> None:
    """Forget the states of earlier runs."""
    import torch

    for name in ("mem", "syn", "spk", "syn_exc", "syn_inh"):
        if isinstance(getattr(module, name, None), torch.Tensor):
            setattr(module, name, torch.zeros(0, device=module.threshold.device))


def factor(module: Any) -> Array | None:
    """`graded_spikes_factor`, None where it is 1."""
    values = getattr(module, "graded_spikes_factor", None)
    if values is None or bool((values == 1.0).all()):
        return None
    return array(values)


def when(module: Any) -> tuple[Reset, ResetTime]:
    """What a spike does to the membrane, and when."""
    name, reset = class_name(module), module.reset_mechanism
    delayed = getattr(module, "reset_delay", True)
    if reset == "none":
        return "none", "now"
    if reset == "subtract":
        return "subtract", "next" if delayed else "recheck"
    if not delayed:
        return "zero", "now"
    return "zero", "next" if name == "Leaky" else "next_all"


def neuron(module: Any, shape: Shape, dt: float, fires: bool) -> Leaf:
    """The IR node of one step's equation."""
    name = class_name(module)
    reset, time = when(module)
    said: dict[str, Any] = {"reset": reset, "reset_time": time}
    said |= {"compare": fires_at(module.spike_grad), "v_threshold": array(module.threshold)}
    if name == "Lapicque":
        step, r, c = (array(getattr(module, key)) for key in ("time_step", "R", "C"))
        decay, gain = 1.0 - step / (r * c), r * (1.0 / (r * c)) * step
        return per_step(shape, dt, decay=decay, gain=gain, fires=fires, **said)
    decay = np.clip(array(module.beta), 0.0, 1.0)
    if name in ("Synaptic", "RSynaptic"):
        current = np.clip(array(module.alpha), 0.0, 1.0)
        return per_step(shape, dt, decay=decay, current=current, fires=fires, **said)
    if name == "Alpha":
        return _alpha(module, shape, dt, fires, said)
    return per_step(shape, dt, decay=decay, fires=fires, **said)


def _alpha(module: Any, shape: Shape, dt: float, fires: bool, said: dict[str, Any]) -> Leaf:
    """Alpha without reset: a current and a membrane, one step after its input.

    With e = a e + x, h = b h - x and v = k (e + h): v = b v + i, i = a i + k (a - b) x(t - 1).
    """
    rise, fall = (np.clip(array(getattr(module, key)), 0.0, 1.0) for key in ("alpha", "beta"))
    height = np.log(rise) / (np.log(fall) - np.log(rise)) + 1.0
    gain_in = height * (rise - fall)
    return per_step(shape, dt, decay=fall, current=rise, gain_in=gain_in, fires=fires, **said)


def recurrent(module: Any) -> Nodes:
    """The connection of an RLeaky or RSynaptic with itself."""
    inner = getattr(module, "recurrent", None)
    if inner is None:
        return []
    if hasattr(inner, "V"):
        return [("recurrent", Scale(array(inner.V)))]
    bias = None if inner.bias is None else array(inner.bias)
    if hasattr(inner, "in_features"):
        return [("recurrent", dense(array(inner.weight), bias))]
    return [("recurrent", convolution(array(inner.weight), bias, 1, pair(inner.padding), 1, 1))]
