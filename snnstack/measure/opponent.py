"""The network without spikes beside a spiking one: trained or read, rounded, counted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.errors import DataError, Problem, TargetError, ToolError, fail, raise_if_any
from snnstack.frontends.data import Data
from snnstack.frontends.opponent_file import read_weights, weights_file
from snnstack.frontends.stream import Stream
from snnstack.ir.step import StepInput
from snnstack.measure.subject import Ann
from snnstack.program import Program
from snnstack.quant.opponent import Opponent, frames, opponent_of, with_arrays
from snnstack.quant.opponent_int8 import Int8Opponent, quantise_opponent, run_real, scaled
from snnstack.report.opponent import UNTRAINED, AnnFit, AnnResult
from snnstack.samples import Samples, as_stream
from snnstack.target import backend, offered
from snnstack.trace import Spikes

FIT = 512
"""Frames that the int8 scales are fitted to."""
PROOF = 4
"""Samples that run in the opponent's kernels on the board's stand-in."""


class Rival:
    """One opponent, judged batch by batch; `on` prices it on a board."""

    def __init__(self, real: Opponent, int8: Int8Opponent, largest: int, trained: str) -> None:
        self.real, self.int8, self.largest, self.trained = real, int8, largest, trained
        self.known: set[bytes] = set()
        self.samples = self.right = self.right_real = self.seen = self.steps = 0
        self.labelled = trained != UNTRAINED
        self.first: NDArray[np.int64] | None = None

    def add(self, part: Data) -> None:
        """One batch of the samples that the spiking network is judged by."""
        given = frames(part.spikes, self.real.windows)
        self.first = given[:PROOF] if self.first is None else self.first
        self.samples += len(given)
        self.steps = part.spikes.steps
        self.seen += sum(digest in self.known for digest in _digests(part.spikes))
        self.labelled &= part.labels is not None
        if self.labelled:
            best = run_real(self.real, scaled(given, self.largest)).argmax(axis=1)
            self.right_real += int(np.sum(best == part.labels))
            self.right += int(np.sum(self.int8.classes(given) == part.labels))

    def fit(self) -> AnnFit:
        """The words and shares for a row."""
        n = self.samples
        return AnnFit(
            widths=str(self.real),
            given=_given(self.real, self.steps),
            trained=f"{self.trained}{self._overlap()}",
            accuracy=self.right / n if self.labelled else None,
            accuracy_float=self.right_real / n if self.labelled else None,
            left_out=self.real.left_out,
            samples=n,
        )

    def _overlap(self) -> str:
        if not self.known:
            return ""
        if not self.seen:
            return ", none of them among the samples measured here"
        return (
            f"; {self.seen} of the {self.samples} samples measured here are among them, so this "
            "accuracy is not one of unseen samples"
        )

    def on(self, program: Any, period_s: float | None) -> AnnResult:
        """The opponent on the program's board. Raises what the board's run raises."""
        assert self.first is not None
        given = self.int8.given(self.first)
        own: Any = backend(program.target)
        cost, outputs = own.opponent(program, self.int8, given, period_s, self.steps)
        wrong = int(np.count_nonzero(outputs != self.int8.run(given)))
        return AnnResult(self.fit(), cost, len(given), wrong)


def prepared(
    programs: Sequence[Program], network: Any, ann: Ann | None, test: Stream
) -> tuple[Rival | None, tuple[str, ...]]:
    """The opponent for those boards that can have one; else why there is none."""
    able = [p for p in programs if offered(backend(p.target), "opponent") is not None]
    if ann is None or not able or network is None:
        return None, ()
    try:
        return rival(network, ann, test), ()
    except TargetError as error:
        return None, tuple(f"no network without spikes: {p}" for p in error.problems)


def rival(network: Any, ann: Ann, test: Stream) -> Rival:
    """The opponent of a step graph or quantised network.

    Raises TargetError if it can have none, DataError if samples or weights do not fit, ToolError
    if torch is needed and missing.
    """
    port: StepInput = network.inputs[0]
    net = opponent_of(network, ann.windows)
    if ann.train is not None and ann.weights is not None:
        what = "both training samples and trained weights are given"
        raise fail(DataError, "opponent", what, "give one of them")
    if ann.train is not None:
        return _trained(net, as_stream(ann.train, port))
    given = _some(test if ann.fit is None else as_stream(ann.fit, port), net.windows)
    if ann.weights is not None:
        real, largest, about = read_weights(Path(ann.weights), net)
        trained = f"weights of {Path(ann.weights).name}" + (f": {about}" if about else "")
        return Rival(real, quantise_opponent(real, given, largest), largest, trained)
    real, largest = _random(net), max(1, int(given.max(initial=1)))
    return Rival(real, quantise_opponent(real, given, largest), largest, UNTRAINED)


def trained_weights(
    network: Any, samples: Samples, about: str, windows: int | None = None
) -> bytes:
    """Train the opponent of `network` on `samples`; an .npz for `Ann(weights=...)`."""
    made = _trained(opponent_of(network, windows), as_stream(samples, network.inputs[0]))
    return weights_file(made.real, made.largest, about)


def _trained(net: Opponent, data: Stream) -> Rival:
    """Trained on all of `data`, which must have labels of the last layer's outputs."""
    try:
        from snnstack.frontends.train_opponent import train
    except ImportError as error:
        hint = "pip install torch, or give weights that are trained already"
        raise fail(ToolError, "torch", "is not installed", hint) from error
    given, labels, known = _everything(data, net.windows)
    raise_if_any(DataError, _label_problems(labels, net.layers[-1].n, data.name))
    largest = max(1, int(given.max(initial=1)))
    real = train(net, scaled(given, largest), np.asarray(labels))
    text = f"trained on {len(given)} samples of {Path(data.name.partition('?')[0]).name}"
    made = Rival(real, quantise_opponent(real, given[:FIT], largest), largest, text)
    made.known = known
    return made


def _everything(
    data: Stream, windows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, set[bytes]]:
    """Frames and labels of all samples, and what tells the samples apart."""
    given, labels, known = [], [], set[bytes]()
    for part in data.batches():
        given.append(frames(part.spikes, windows))
        known |= set(_digests(part.spikes))
        if part.labels is not None:
            labels.append(part.labels)
    found = np.concatenate(labels) if len(labels) == len(given) else None
    return np.concatenate(given), found, known


def _some(data: Stream, windows: int) -> NDArray[np.int64]:
    return np.concatenate([frames(p.spikes, windows) for p in data.first(FIT).batches()])


def _label_problems(labels: NDArray[np.int64] | None, outputs: int, name: str) -> Iterator[Problem]:
    if labels is None:
        yield Problem(name, "holds no labels y", "a network is trained on labelled samples")
    elif int(labels.max()) >= outputs:
        yield Problem(name, f"has the class {int(labels.max())}, the network {outputs} outputs")


def _random(net: Opponent) -> Opponent:
    """Fixed random weights: what counts is the shape."""
    random = np.random.default_rng(0)
    shapes = [(layer.synapses.weight.shape, layer.bias) for layer in net.layers]
    return with_arrays(net, [(random.normal(0, 1, shape), bias) for shape, bias in shapes])


def _given(net: Opponent, steps: int) -> str:
    inputs = net.inputs // net.windows
    free = "(the counting is not in its cost)"
    if net.windows == 1:
        return f"the events of each of {inputs} inputs, counted over all {steps} steps {free}"
    part = f"{steps / net.windows:g}"
    return (
        f"the events of each of {inputs} inputs, counted in {net.windows} windows of {part} steps "
        f"and read side by side {free}"
    )


def _digests(spikes: Spikes) -> Iterator[bytes]:
    """What tells one sample's events from another's."""
    for k in range(spikes.batch):
        one = spikes.samples(k, k + 1)
        made = hashlib.blake2b(one.indptr.tobytes(), digest_size=16)
        made.update(one.indices.tobytes())
        made.update(one.event_counts().tobytes())
        yield made.digest()
