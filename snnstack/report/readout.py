"""`ReadOut`: from what the first output did to a class; float and board are judged by the same."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from snnstack.door import shown
from snnstack.errors import ModelError, Problem, SnnstackError, fail, raise_if_any
from snnstack.passes.options import READOUT
from snnstack.report.linear import Linear, fitted_in
from snnstack.trace import Spikes, Trace

USUAL, SPIKES, MEMBRANES = (
    "usual",
    ("rate", "first-spike"),
    ("sum", "mean", "last", "max", "softmax"),
)
LINEAR = "linear"
KINDS = (USUAL, *SPIKES, *MEMBRANES, "above", LINEAR)
HINT = "rate, first-spike, sum, mean, last, max or softmax; with :K as rate:10 for K classes of "
HINT += "equally many neurons; above:X for one neuron; linear, fitted to samples (docs/readout.md)"
Real = NDArray[np.float64]


class _Scaled(Protocol):
    """A quantised network: what it says of how it is read, and of its membranes' units."""

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def outputs(self) -> tuple[str, ...]: ...

    def population(self, name: str) -> Any:
        """The population called `name`, with its `scale`."""


@dataclass(frozen=True)
class ReadOut:
    """`kind`: one of `KINDS`. `classes`: blocks of equally many neurons that stand for a class
    each (None: every neuron is one). `above`: what a single neuron has to exceed for class 1.

    `scale` [n]: units of the membranes per volt; None: they are in volts already. `linear`: the
    weights of a "linear" one; None: they are not fitted yet.
    """

    kind: str = USUAL
    classes: int | None = None
    above: float | None = None
    scale: Real | None = None
    linear: Linear | None = None

    def __str__(self) -> str:
        """The text that `parse` takes."""
        of = self.classes if self.above is None else f"{self.above:g}"
        return self.kind if of is None else f"{self.kind}:{of}"

    def count(self, neurons: int) -> int:
        """Classes that an output of so many neurons tells apart."""
        if self.linear is not None:
            return len(self.linear.bias)
        return 2 if self.above is not None else self.classes or neurons

    def reads_membrane(self, fires: bool) -> bool:
        """Whether the membrane is read rather than spikes, of an output that fires or not."""
        return self.kind in MEMBRANES or not fires


def parse(text: Any, where: str = READOUT) -> ReadOut:
    """The read-out that a text names; ModelError for anything else.

    >>> parse("first-spike"), parse("rate:3").count(15), str(parse("above:0.5"))
    (ReadOut(kind='first-spike', classes=None, above=None, scale=None, linear=None), 3, 'above:0.5')
    """
    if not isinstance(text, str):
        raise fail(ModelError, where, f"is {shown(text)}", HINT)
    kind, mark, value = text.replace("_", "-").partition(":")
    wrong = fail(ModelError, where, f"there is no read-out {text[:80]!r}", HINT)
    if kind not in KINDS or (kind == "above" and not mark) or (kind == LINEAR and mark):
        raise wrong
    if not mark:
        return ReadOut(kind)
    if kind == "above":
        return ReadOut(kind, above=_number(value, wrong))
    if re.fullmatch("[1-9][0-9]{0,8}", value) is None:
        raise wrong
    return ReadOut(kind, int(value))


def _number(text: str, wrong: SnnstackError) -> float:
    try:
        found = float(text)
    except ValueError:
        raise wrong from None
    if not math.isfinite(found):
        raise wrong
    return found


def read_out(
    settings: Mapping[str, Any], network: _Scaled | None = None, said: str | None = None
) -> ReadOut:
    """What a network's or program's settings say, else the usual one; with `network`, for
    membranes in its units. `said`: another one, whose fitted weights are those in the settings.
    """
    found = parse(settings.get(READOUT, USUAL)) if said is None else parse(said, "--readout")
    if found.kind == LINEAR:
        found = replace(found, linear=fitted_in(settings))
    return found if network is None else in_units_of(found, network)


def readout_said(settings: Mapping[str, Any]) -> str:
    """How classes are found, and whether anyone said so."""
    if READOUT in settings:
        return f"{settings[READOUT]} (model)"
    return "most spikes, else the largest summed membrane (assumed; --readout)"


def readout_notes(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What a reader must know of how classes are found: the cost of a linear read-out."""
    found = read_out(settings).linear
    return () if found is None else (found.cost(),)


def in_units_of(readout: ReadOut, network: _Scaled) -> ReadOut:
    """`readout` for membranes as `network`, a quantised one, has them."""
    output = network.population(network.outputs[0])
    return replace(readout, scale=np.broadcast_to(output.scale, (output.n,)))


def check_readout(readout: ReadOut, output: str, neurons: int, fires: bool) -> None:
    """ModelError where an output cannot be read so."""
    raise_if_any(ModelError, _unreadable(readout, output, neurons, fires))


def _unreadable(readout: ReadOut, output: str, neurons: int, fires: bool) -> Iterator[Problem]:
    where = f"read-out {str(readout)!r}"
    if readout.kind == LINEAR and readout.linear is None:
        hint = "compile, bench: --calibrate with labelled training samples; train: its --data"
        yield Problem(where, "is not fitted, and nothing is told to fit it to", hint)
    if readout.linear is not None and readout.linear.weight.shape[1] != neurons:
        known = readout.linear.weight.shape[1]
        what = f"output {output!r} has {neurons} neurons, the read-out was fitted to {known}"
        yield Problem(where, what, "fit it again")
    if readout.kind in SPIKES and not fires:
        yield Problem(where, f"output {output!r} does not fire", "sum, mean, last, max or softmax")
    if readout.classes and neurons % readout.classes:
        what = f"the {neurons} neurons of output {output!r} are no {readout.classes} equal blocks"
        yield Problem(where, what, f"K must divide {neurons}")
    if readout.above is not None and neurons != 1:
        what = f"output {output!r} has {neurons} neurons"
        yield Problem(where, what, "above:X is for an output of one neuron")


def output_probes(
    outputs: Sequence[str], fires: Mapping[str, bool], readout: ReadOut | None = None
) -> list[tuple[str, str]]:
    """The states that `scores` needs: membranes of outputs that do not fire, and that read out."""
    readout = readout or ReadOut()
    return [
        (name, "v")
        for k, name in enumerate(outputs)
        if not fires[name] or (k == 0 and readout.reads_membrane(fires[name]))
    ]


def aligned(trace: Trace, steps: int) -> Trace:
    """`trace` on the input's clock: each population's first `lag` steps are left out.

    Every population then has `steps` steps; a trace without lag is returned as it is.
    """
    if not trace.lag:
        return trace
    spikes = {k: s.window(trace.lag.get(k, 0), steps) for k, s in trace.spikes.items()}
    states = {}
    for (name, variable), values in trace.states.items():
        first = trace.lag.get(name, 0)
        states[name, variable] = values[:, first : first + steps]
    return Trace(spikes, states, trace.counts)


def usual_scores(trace: Trace, output: str) -> Real:
    """[sample, neuron]: spike counts, or membranes summed over the steps."""
    return _counts(trace.spikes[output]) if output in trace.spikes else _sum(_v(trace, output))


def scores(trace: Trace, output: str, readout: ReadOut | None = None) -> Real:
    """[sample, class]: of which the largest is the class that `readout` finds."""
    readout = readout or ReadOut()
    if readout.kind == USUAL:
        return _grouped(usual_scores(trace, output), readout.classes, np.sum)
    if readout.above is not None or readout.linear is not None:
        of = usual_scores(trace, output)
        of = of if output in trace.spikes or readout.scale is None else of / readout.scale
        if readout.linear is not None:
            return readout.linear.scores(of)
        return np.concatenate([np.full_like(of, readout.above), of], axis=1)
    if readout.kind in SPIKES:
        return _of_spikes(trace.spikes[output], readout)
    v = _v(trace, output)
    v = v if readout.scale is None else v / readout.scale
    return _grouped(OVER_TIME[readout.kind](v), readout.classes, np.sum)


def classes(
    trace: Trace, outputs: Sequence[str], readout: ReadOut | None = None
) -> NDArray[np.int64]:
    """[sample]: the best class of the first output, the first of equals."""
    return np.asarray(scores(trace, outputs[0], readout).argmax(axis=1), dtype=np.int64)


def _v(trace: Trace, output: str) -> Real:
    return np.asarray(trace.states[output, "v"], dtype=np.float64)


def _counts(spikes: Spikes) -> Real:
    """Spikes of every neuron, or the sum of the values that it sent."""
    return np.asarray(spikes.per_neuron(values=True), dtype=np.float64)


def _of_spikes(spikes: Spikes, readout: ReadOut) -> Real:
    if readout.kind == "rate":
        return _grouped(_counts(spikes), readout.classes, np.sum)
    first = np.full((spikes.batch, spikes.n), spikes.steps, dtype=np.int64)
    sample, step = np.divmod(spikes.rows(), max(spikes.steps, 1))
    np.minimum.at(first, (sample, spikes.indices), step)
    return _grouped(-first.astype(np.float64), readout.classes, np.max)


def _grouped(values: Real, count: int | None, over: Callable[..., Any]) -> Real:
    """[sample, class] from [sample, neuron]: class k has the k-th of `count` equal blocks."""
    if count is None:
        return values
    return np.asarray(over(values.reshape(len(values), count, -1), axis=2), dtype=np.float64)


def _sum(v: Real) -> Real:
    return np.asarray(np.sum(v, axis=1), dtype=np.float64)


def _softmax(v: Real) -> Real:
    """[sample, neuron]: probabilities of every step, summed over the steps."""
    raised = np.exp(v - v.max(axis=2, keepdims=True))
    return _sum(raised / raised.sum(axis=2, keepdims=True))


OVER_TIME: Mapping[str, Callable[[Real], Real]] = MappingProxyType(
    {
        "sum": _sum,
        "mean": lambda v: np.asarray(v.mean(axis=1)),
        "last": lambda v: v[:, -1],
        "max": lambda v: np.asarray(v.max(axis=1)),
        "softmax": _softmax,
    }
)
"""[sample, neuron] of membranes [sample, step, neuron]."""


def accuracy(found: NDArray[np.int64], labels: NDArray[np.int64] | None) -> float | None:
    """Share of samples whose class is the label; None without labels."""
    return None if labels is None else float(np.mean(found == labels))


def spike_agreement(left: Trace, right: Trace, names: Iterable[str]) -> float:
    """Share of (sample, step, neuron) slots of the firing populations that are equal."""
    slots, different = differing_slots(left, right, names)
    return 1.0 - different / slots if slots else 1.0


def differing_slots(left: Trace, right: Trace, names: Iterable[str]) -> tuple[int, int]:
    """(Slots, slots that differ) of the populations in `names` that fire in both."""
    slots = different = 0
    for name in names:
        if name in left.spikes and name in right.spikes:
            a, b = left.spikes[name], right.spikes[name]
            slots += a.batch * a.steps * a.n
            different += differing(_keys(a), _keys(b))
    return slots, different


def differing(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Number of elements in exactly one of two sets of event keys."""
    return len(np.setxor1d(left, right, assume_unique=True))


def _keys(spikes: Spikes) -> NDArray[np.int64]:
    return np.asarray(spikes.rows() * spikes.n + spikes.indices)
