"""A live torch module as a `Graph`, with what its neurons did on the sample."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnstack.errors import ModelError, Problem, SnnstackError, fail, raise_if_any
from snnstack.frontends.torch_build import Builder
from snnstack.frontends.torch_door import as_sample, check_module
from snnstack.frontends.torch_input import Axes, marks, time_axis, whole
from snnstack.frontends.torch_loops import traced_steps
from snnstack.frontends.torch_modules import said
from snnstack.frontends.torch_neurons import kind_of
from snnstack.frontends.torch_record import Recorder, finished, recording
from snnstack.frontends.torch_results import named, read_membranes, results
from snnstack.frontends.torch_steps import steps_agree
from snnstack.frontends.torch_values import attach
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import Array, EventKind, Shape

Forward = Callable[[Any, Any], Any]
FEWEST_STEPS = 2


@dataclass(frozen=True)
class Traced:
    """A module's network. `x` [sample, step, *input shape]: the sample as the network takes it.

    `by_step`: the module takes one step of the sample at a time, so that a caller has the loop.
    """

    graph: Graph
    x: Array
    axes: Axes
    by_step: bool


def trace(
    module: Any,
    sample: Any,
    *,
    forward: Forward | None = None,
    outputs: Sequence[str] | None = None,
    dt: float = 1.0,
    name: str | None = None,
) -> Traced:
    """The network of a module of snnTorch or SpikingJelly, found by running it on `sample`.

    `sample`: what the module's forward takes; or, for a module that does one step at a time,
    [step, sample, ...]. `forward(module, sample)` runs it where its own forward takes more.
    Raises ModelError with every module that cannot be expressed, and what would do instead.
    """
    import torch

    check_module(module)
    sample = as_sample(module, sample)
    binary = bool(((sample == 0) | (sample == 1)).all())
    with at_rest(module), torch.no_grad(), one_thread():
        by_step, first = _how(module, sample, forward)
        axes = _axes(sample, by_step, first)
        twin = fresh(module)
        steps = traced_steps(module)
        recorder = Recorder(names_of(twin), axes, binary, steps=steps)
        with recording(recorder):
            out = run(twin, marks(sample), by_step, forward, steps, tagged=sample)
    finished(recorder)
    raise_if_any(ModelError, steps_agree(recorder))
    calls = (len(calls) for calls in recorder.calls.values())
    recorder.reading = max(recorder.looped, *calls, 1) - 1
    if recorder.calls and _steps(recorder, axes, sample) < FEWEST_STEPS:
        hint = f"give at least {FEWEST_STEPS} steps: a connection over time needs them to be seen"
        raise fail(ModelError, "input", "the sample has a single step", hint)
    graph, x = _graph(recorder, axes, out, sample, outputs, dt)
    return Traced(graph.with_(metadata={"name": name or type(module).__name__}), x, axes, by_step)


def clear(module: Any) -> None:
    """All neurons back to the start."""
    for inner in module.modules():
        found = kind_of(inner)
        if found is not None:
            found.clear(inner)
        elif type(inner).__module__.startswith("spikingjelly") and hasattr(inner, "reset"):
            inner.reset()


def fresh(module: Any) -> Any:
    """A copy without any state from earlier runs; the module itself where it cannot be copied."""
    clear(module)
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError):
        return module


@contextmanager
def at_rest(module: Any) -> Iterator[None]:
    """The module in evaluation mode, and as it was afterwards."""
    training = {id(m): m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for inner in module.modules():
            inner.training = training[id(inner)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Many small products, as in a trace, are faster on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def names_of(module: Any) -> dict[int, str]:
    """The name of every module inside, by identity."""
    return {id(m): n or type(m).__name__ for n, m in module.named_modules()}


def _how(module: Any, sample: Any, forward: Forward | None) -> tuple[bool, Recorder]:
    """(whether the module does one step at a time, what a run found out about the axes)."""
    found, reasons = [], []
    for by_step in (False, True):
        if by_step and (forward is not None or sample.ndim < 2):
            continue
        twin = fresh(module)
        recorder = Recorder(names_of(twin), None, False)
        try:
            with recording(recorder):
                _run(twin, marks(sample), by_step, forward, 2, tagged=sample)
        except Exception as error:  # whatever a user's forward raises
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        if not by_step and _has_time(recorder, sample, forward):
            return False, recorder
        found.append((by_step, recorder))
    if not found:
        raise_if_any(ModelError, _known_faults(module))
        raise fail(ModelError, type(module).__name__, _unable(module, reasons), HOW)
    by_step, recorder = found[-1]
    if not recorder.calls:
        hint = "the neurons of snnTorch and of SpikingJelly are known"
        raise fail(ModelError, type(module).__name__, "has no spiking neuron that ran", hint)
    return by_step, recorder


def _known_faults(module: Any) -> Iterator[Problem]:
    """What is wrong with neurons that did not get to run."""
    for name, inner in module.named_modules():
        found = kind_of(inner)
        if found is not None:
            yield from (Problem(said(name, inner), *text) for text in found.problems(inner))


HOW = (
    "give the sample that its forward takes, or [step, sample, ...] for a module of one step, "
    "or forward=lambda net, sample: ... that runs all steps"
)


def _unable(module: Any, reasons: list[str]) -> str:
    """Why it did not run, with a note on states that forward wants to be given."""
    needed = [
        p.name
        for p in list(inspect.signature(type(module).forward).parameters.values())[2:]
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    states = f"; its forward also wants {', '.join(needed)}" if needed else ""
    return f"could not be run on the sample: {reasons[-1]}{states}"


def _has_time(recorder: Recorder, sample: Any, forward: Forward | None) -> bool:
    """Whether the module went through the steps by itself."""
    many = any(len(calls) > 1 for calls in recorder.calls.values())
    return many or bool(recorder.sequences) or (forward is not None and bool(recorder.calls))


def _axes(sample: Any, by_step: bool, first: Recorder) -> Axes:
    shape, sequence = tuple(sample.shape), bool(first.sequences)
    time: int | None = 0
    if not by_step:
        many = any(len(calls) > 1 for calls in first.calls.values())
        time = time_axis(first.seen) if many else 0
        if sequence:
            time = 0 if _steps_come_first(shape, first) else None
    rest = [axis for axis in range(len(shape)) if axis != time]
    batch = rest[0] if len(rest) > 1 else None
    return Axes(shape, time, batch, sequence)


def _steps_come_first(shape: Shape, first: Recorder) -> bool:
    """Whether neurons that take all steps are given the sample's own, not a repeated picture."""
    repeated = any(-1 not in one for one in first.seen)
    whole = all(shape[: len(two)] == two[: len(shape)] for two in first.sequences.values())
    return whole and not repeated


def run(
    module: Any, sample: Any, by_step: bool, forward: Forward | None, steps: int, tagged: Any = None
) -> list[Any]:
    """The results of the last call; of every step where the caller has the loop.

    ModelError for whatever the module's own code raises.
    """
    try:
        return _run(module, sample, by_step, forward, steps, tagged)
    except SnnstackError:
        raise
    except Exception as error:  # whatever a user's forward raises
        what = f"could not be run on the sample: {type(error).__name__}: {error}"
        raise fail(ModelError, type(module).__name__, what, HOW) from error


def _run(
    module: Any, sample: Any, by_step: bool, forward: Forward | None, steps: int, tagged: Any = None
) -> list[Any]:
    if not by_step:
        if tagged is not None:
            attach(sample, whole(tagged))
        return [module(sample) if forward is None else forward(module, sample)]
    outs = []
    for part in sample[:steps]:
        if tagged is not None:
            attach(part, whole(tagged))
        outs.append(module(part))
    return outs[-1:]


def _graph(
    recorder: Recorder,
    axes: Axes,
    out: Any,
    sample: Any,
    outputs: Sequence[str] | None,
    dt: float,
) -> tuple[Graph, Array]:
    found = results(recorder, out) if outputs is None else named(recorder, outputs)
    x = as_steps(sample, axes, _steps(recorder, axes, sample))
    membranes = frozenset(v.key[0] for v in found if v.op == "state")
    raise_if_any(ModelError, read_membranes(recorder, membranes))
    builder = Builder(recorder, axes, dt, event_kind(x), membranes=membranes)
    graph = builder.graph(found)
    ((_, port),) = graph.inputs().items()
    shape = port.shape
    return graph, x.reshape(*x.shape[:2], *shape)


def _steps(recorder: Recorder, axes: Axes, sample: Any) -> int:
    if axes.time is not None:
        return int(sample.shape[axes.time])
    return max([recorder.reading + 1, *(two[0] for two in recorder.sequences.values())])


def event_kind(x: Array) -> EventKind:
    """What the input carries: 0/1, counts 0..255, or any numbers."""
    if np.all((x == 0) | (x == 1)):
        return "binary"
    return "count" if np.all((x >= 0) & (x <= 255) & (x == np.rint(x))) else "real"


def as_steps(sample: Any, axes: Axes, steps: int) -> Array:
    """The sample as [sample, step, *features]."""
    values = np.asarray(sample.detach().cpu().numpy())
    if axes.time is None:
        values = np.broadcast_to(values[None], (steps, *values.shape))
        order = [0, 1 if axes.batch is not None else -1]
    else:
        order = [axes.time, -1 if axes.batch is None else axes.batch]
    if order[1] < 0:
        return np.moveaxis(values, order[0], 0)[None]
    return np.moveaxis(values, order, (1, 0))
