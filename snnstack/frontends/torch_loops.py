"""Modules that take all steps and go through them one by one: looked into a step at a time.

SpikingJelly's containers and `Delay` in step mode "m". What they return is what they computed
themselves; the first steps are run again, one at a time, to see what a step is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from snnstack.frontends.torch_values import Value, attach, value_of

LOOPS = ("LinearRecurrentContainer", "ElementWiseRecurrentContainer", "Delay")
"""Modules of SpikingJelly that have a step mode and states of their own."""
STEPS = 6
"""Steps that are looked into; a delay needs one more than it is long."""


def loop(module: Any) -> Callable[[Any], Any] | None:
    """What does one step of a module that goes through all steps by itself; None for others."""
    kind = type(module)
    name = kind.__name__
    if not kind.__module__.startswith("spikingjelly.activation_based.layer"):
        return None
    if name in LOOPS and module.step_mode == "m":
        return module  # type: ignore[no-any-return]
    if name == "MultiStepContainer" or (name == "StepModeContainer" and _by_step(module)):
        return lambda x: _through(module, x)
    return None


def looped(recorder: Any, module: Any, name: str, run: Any, args: Any) -> Any:
    """All steps as the module does them, tagged with what the last of them is made of."""
    from spikingjelly.activation_based import functional

    step = loop(module)
    assert step is not None
    value = recorder.used(args[0])
    recorder.inside = True
    try:
        out = run(module, *args)
        functional.reset_net(module)
        parts = [part.clone() for part in args[0][: recorder.steps]]
    finally:
        recorder.inside = False
    recorder.sequences[name] = tuple(out.shape[:2])
    recorder.looped = len(parts)
    with _single(recorder, module):
        for k, part in enumerate(parts):
            if value is not None:
                attach(part, _at(value, k))
            last = step(part)
    found = value_of(last)
    if found is not None:
        recorder.tag(out, replace(found, lead=found.lead + 1))
    return out


def _at(value: Value, step: int) -> Value:
    """The value in one step; what nothing can be made of stays that."""
    lead = max(value.lead - 1, 0)
    if value.op == "opaque":
        return replace(value, lead=lead)
    return Value("at", (value,), step, value.shape, lead, value.binary)


def traced_steps(module: Any) -> int:
    """Steps that show every connection of a module that is run a step at a time."""
    delays = (getattr(m, "delay_steps", 0) for m in module.modules())
    return max([STEPS, *(delay + 2 for delay in delays if isinstance(delay, int))])


def _through(module: Any, x: Any) -> Any:
    for inner in module:
        x = inner(x)
    return x


def _by_step(module: Any) -> bool:
    return module.step_mode == "m" and bool(module.stateful)


@contextmanager
def _single(recorder: Any, module: Any) -> Iterator[None]:
    """The module in step mode "s", and as it was afterwards."""
    switched = type(module).__name__ in LOOPS
    recorder.loops += 1
    try:
        if switched:
            module.step_mode = "s"
        yield
    finally:
        recorder.loops -= 1
        if switched:
            module.step_mode = "m"
