"""Run a torch module and keep, for every tensor, which expression of inputs and spikes it is.

Modules are entered until a neuron or a known layer is met; between them every torch function is
seen. Nothing is guessed from source text: what is recorded is what ran.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from snnstack.errors import ModelError, Problem
from snnstack.frontends import torch_ops
from snnstack.frontends.torch_input import Axes, consumed
from snnstack.frontends.torch_kind import Kind
from snnstack.frontends.torch_loops import STEPS, loop, looped
from snnstack.frontends.torch_modules import layer, said
from snnstack.frontends.torch_neurons import kind_of
from snnstack.frontends.torch_values import Value, attach, detach, opaque, tensors, value_of

LATER = opaque("", "", "")
"""Stands for everything in a run that only looks for the axes of the sample."""


@dataclass
class Recorder:
    """One run. `axes` None: only find out which axis of the input is time.

    `calls`: for each neuron by name, the values of its input, one per call. `modules`: those
    neurons. `sequences`: the first two axes, steps and samples, of those that take
    all steps at once. `seen`: constant axes of the
    input where it is used. `reading`: the call that is being looked at. `loops`: leading axes that
    are gone because a module goes through the steps by itself. `steps`: how many of them are run
    at most, `looped`: were run.
    """

    names: dict[int, str]
    axes: Axes | None
    binary: bool
    inside: bool = False
    calls: dict[str, list[Value]] = field(default_factory=dict)
    modules: dict[str, tuple[Any, Kind]] = field(default_factory=dict)
    sequences: dict[str, tuple[int, ...]] = field(default_factory=dict)
    seen: list[dict[int, int]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    reading: int = 0
    loops: int = 0
    steps: int = STEPS
    looped: int = 0

    def module_call(self, module: Any, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What takes the place of a module's call."""
        if self.inside:
            return run(module, *args, **kwargs)
        name = self.names.get(id(module), type(module).__name__)
        found = kind_of(module)
        if found is not None:
            return self._neuron(module, name, found, run, args, kwargs)
        if loop(module) is not None and args:
            return looped(self, module, name, run, args)
        make = layer(module)
        if make is None:
            return run(module, *args, **kwargs)
        out = self._quiet(run, module, args, kwargs)
        given = [self.used(t) for t in tensors(args)]
        known = [value for value in given if value is not None]
        if known:
            blocked = known[0].op == "opaque" or self.axes is None
            self.tag(out, known[0] if blocked else make(module, name, known[0]))
        return out

    def _quiet(self, run: Callable[..., Any], module: Any, args: Any, kwargs: Any) -> Any:
        self.inside = True
        try:
            return run(module, *args, **kwargs)
        finally:
            self.inside = False

    def tag(self, out: Any, value: Value) -> None:
        """Attach `value` to what came out, with its shape."""
        for tensor in tensors(out):
            shape = tuple(tensor.shape[value.lead :])
            attach(tensor, value if value.op == "opaque" else replace(value, shape=shape))

    def _neuron(self, module: Any, name: str, kind: Kind, run: Any, args: Any, kwargs: Any) -> Any:
        given = list(args) + list(kwargs.values())
        value = self.used(given[0]) if given else None
        calls = self.calls.setdefault(name, [])
        self.modules[name] = (module, kind)
        self._check_states(name, module, kind, given[1:], len(calls))
        out = self._quiet(run, module, args, kwargs)
        first = next(tensors(out))
        lead = self._lead()
        if value is not None and value.op != "opaque":
            lead = value.lead
        if kind.sequence(module):
            whole = given[0] if kind.silent(module) else first
            self.sequences[name] = tuple(whole.shape[:2])
        if value is None:
            value = opaque(said(name, module), "gets no input that depends on the sample", "")
            value = replace(value, data=self._constant(given[0] if given else None))
        calls.append(value)
        self._tag_outputs(name, module, kind, out, lead, len(calls) - 1)
        return out

    def _lead(self) -> int:
        return 0 if self.axes is None else self.axes.lead - self.loops

    def _constant(self, tensor: Any) -> Any:
        """The elements of a tensor that nothing is known of; None if samples differ."""
        lead = self._lead()
        if not hasattr(tensor, "detach") or tensor.ndim < lead:
            return None
        rows = tensor.detach().cpu().double().numpy().reshape(math.prod(tensor.shape[:lead]), -1)
        return rows[0].copy() if len(rows) and (rows == rows[:1]).all() else None

    def _tag_outputs(
        self, name: str, module: Any, kind: Kind, out: Any, lead: int, call: int
    ) -> None:
        listed = list(tensors(out))
        if kind.silent(module):
            self._tag_membranes(name, listed, call)
            return
        shape = tuple(listed[0].shape[lead:])
        binary = not kind.graded(module)
        attach(listed[0], Value("spikes", (), (name, call), shape, lead, binary))
        variables = kind.variables
        for variable, tensor in zip(variables, listed[1:], strict=False):
            attach(tensor, Value("state", (), (name, call, variable), shape, lead))
        for variable in variables:
            tensor = getattr(module, variable, None)
            if next(tensors(tensor), None) is not None and value_of(tensor) is None:
                attach(tensor, Value("state", (), (name, call, variable), shape, lead))

    def _tag_membranes(self, name: str, listed: list[Any], call: int) -> None:
        """Of a neuron that never fires: a tensor for each step, or one made of all of them."""
        lead = self._lead() - 1
        for tensor in listed:
            shape = tuple(tensor.shape[lead:])
            attach(tensor, Value("state", (), (name, call, "mem"), shape, lead))

    def _check_states(self, name: str, module: Any, kind: Kind, given: Any, call: int) -> None:
        """States handed in must be the neuron's own of the step before, or zero at the start."""
        for variable, tensor in zip(kind.states, given, strict=False):
            if tensor is None:
                continue
            value = value_of(tensor)
            own: Any = ("state", (name, call - 1, variable))
            if variable == "spk":
                own = ("spikes", (name, call - 1))
            zero = value is None and not bool(tensor.detach().any())
            if (zero and call == 0) or (value is not None and (value.op, value.key) == own):
                continue
            what = (
                f"starts from a {variable} that is not zero"
                if call == 0
                else (f"is given a {variable} that is not its own of the step before")
            )
            hint = "pass on what it returned, and begin with zeros; one module for each layer"
            self.problems.append(Problem(said(name, module), what, hint))

    def used(self, tensor: Any) -> Value | None:
        """The value of a tensor that something other than a reshaping reads."""
        value = value_of(tensor)
        if value is None or value.op != "sample":
            return value
        if self.axes is None:
            self.seen.append(consumed(tensor, value.data))
            return LATER
        found = self.axes.resolve(tensor, value.data, self.binary)
        if value.key is None or found.op == "opaque":
            return found
        return torch_ops.affine(found, *value.key)

    def function_call(self, function: Any, args: Any, kwargs: Any, out: Any) -> None:
        """Remember what a torch function made."""
        if self.inside:
            return
        given = [t for t in (*tensors(args), *tensors(kwargs)) if value_of(t) is not None]
        if not given:
            for tensor in tensors(out):
                detach(tensor)
            return
        self.inside = True
        try:
            torch_ops.record(self, function, args, kwargs, out)
        finally:
            self.inside = False


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Every module call and torch function inside goes through `recorder`."""
    from torch import nn
    from torch.overrides import TorchFunctionMode

    plain = nn.Module.__call__

    class Mode(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            recorder.function_call(func, args, kwargs or {}, out)
            return out

    def call(module: Any, *args: Any, **kwargs: Any) -> Any:
        return recorder.module_call(module, plain, args, kwargs)

    nn.Module.__call__ = call
    try:
        with Mode():
            yield recorder
    finally:
        nn.Module.__call__ = plain


def finished(recorder: Recorder) -> Recorder:
    """`recorder`, or ModelError with what went wrong while it ran."""
    if recorder.problems:
        raise ModelError(dict.fromkeys(recorder.problems))
    return recorder
