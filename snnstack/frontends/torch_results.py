"""What a module returns, traced back to the neurons or layers of its last step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from snnstack.errors import ModelError, Problem, fail, raise_if_any
from snnstack.frontends import torch_masks
from snnstack.frontends.torch_modules import said
from snnstack.frontends.torch_record import Recorder
from snnstack.frontends.torch_steps import expression_key
from snnstack.frontends.torch_values import Value, tensors, value_of


def results(recorder: Recorder, out: Any) -> list[Value]:
    """What the network returns of its last step: spikes before membranes, last layers only.

    ModelError where the module changes it on the way, so that it is not what neurons sent.
    """
    found: dict[Any, Value] = {}
    for tensor in tensors(out):
        value = value_of(tensor)
        for result in _frontier(value) if value is not None else ():
            if _latest(recorder, result) == recorder.reading:
                found[expression_key(result, recorder, recorder.reading)] = result
    spiking = {v.key[0] for v in found.values() if v.op == "spikes"}
    kept = [v for v in found.values() if v.op != "state"]
    mem = [v for v in found.values() if v.op == "state" and v.key[2] == "mem"]
    kept += [v for v in mem if v.key[0] not in spiking and not spiking]
    last = [v for v in kept if not _feeds(recorder, v, kept)]
    if not last:
        hint = "name the neurons that are read: outputs=['lif2']"
        raise fail(ModelError, "output", "what the module returns comes from no neuron", hint)
    raise_if_any(ModelError, torch_masks.problems([value_of(t) for t in tensors(out)], last))
    return last


def _frontier(value: Value) -> Iterator[Value]:
    """Spikes, membranes and layers that a result is made of; arithmetic over time is passed."""
    passing = value.op == "node" and value.key[0] in ("scale", "add")
    if passing or value.op in ("opaque", "reshape", "sum", "gather", "at"):
        for inner in value.args:
            yield from _frontier(inner)
    elif value.op in ("spikes", "state", "node", "space", "affine", "max", "mix", "gate"):
        yield value


def _latest(recorder: Recorder, value: Value) -> int:
    """The last step that a value depends on."""
    if value.op in ("spikes", "state"):
        return recorder.reading if value.key[0] in recorder.sequences else int(value.key[1])
    return max((_latest(recorder, inner) for inner in value.args), default=-1)


def _feeds(recorder: Recorder, value: Value, others: Sequence[Value]) -> bool:
    """Whether a neuron's spikes lead, within the step, to another result."""
    if value.op != "spikes":
        return False
    name = value.key[0]
    rest = (other for other in others if other is not value)
    return any(name in _before(recorder, other, set()) for other in rest)


def _before(recorder: Recorder, value: Value, seen: set[str]) -> set[str]:
    """Neurons that lead to a value within one step."""
    if value.op in ("spikes", "state"):
        name, call = value.key[0], value.key[1]
        calls = recorder.calls[name]
        if name in seen or (call != len(calls) - 1 and name not in recorder.sequences):
            return seen
        inner = _before(recorder, calls[-1], set(seen) | {name})
        return seen | inner
    for part in value.args:
        if part.op == "spikes":
            late = part.key[1] != len(recorder.calls[part.key[0]]) - 1
            if late and part.key[0] not in recorder.sequences:
                continue
        seen = seen | _before(recorder, part, seen)
    return seen


def named(recorder: Recorder, outputs: Sequence[str]) -> list[Value]:
    """The spikes of neurons that the user names as the result."""
    unknown = [name for name in outputs if name not in recorder.calls]
    if unknown:
        hint = f"neurons that ran: {', '.join(recorder.calls)}"
        raise fail(ModelError, "output", f"there is no neuron {unknown[0]!r}", hint)
    found = []
    for name in outputs:
        value = recorder.calls[name][-1]
        call = len(recorder.calls[name]) - 1
        found.append(Value("spikes", (), (name, call), value.shape, value.lead, True))
    return found


def read_membranes(recorder: Recorder, names: frozenset[str]) -> Iterator[Problem]:
    """A membrane that is the result must not be reset by spikes that nobody reads."""
    for name in names:
        module, _ = recorder.modules[name]
        if getattr(module, "reset_mechanism", "none") != "none":
            what = "gives its membrane as the result, which its own spikes reset"
            hint = "train it with reset_mechanism='none', or read spikes: outputs=['" + name + "']"
            yield Problem(said(name, module), what, hint)
