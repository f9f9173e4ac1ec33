"""The training loop of `fit`: the float network is the teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snnstack.board import board_digest
from snnstack.building import Build, calibrated, explain
from snnstack.errors import ModelError, TargetError, fail
from snnstack.frontends.data import Data
from snnstack.report.readout import accuracy, aligned, classes, in_units_of, output_probes, read_out
from snnstack.samples import Samples, as_data, calibration_run, judged_stream, run_float
from snnstack.target import Progress, emulator
from snnstack.trace import Spikes
from snnstack.training.augment import varied
from snnstack.training.checkpoint import Checkpoint, State, content_digest
from snnstack.training.loss import Loss
from snnstack.training.module import StepModule
from snnstack.training.recipe import Recipe
from snnstack.training.target import OnTarget, trained

AVERAGING = 0.98
"""Share that the running mean of the parameters keeps in every update."""
CLIP = 5.0
"""Largest norm of a gradient."""
JUDGED = 4096
"""Training samples that a program is judged by after every epoch."""


def fitted(
    module: StepModule,
    data: Samples,
    recipe: Recipe,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Build:
    """See `snnstack.training.fit`."""
    read = judged_stream(data, module.graph).read()
    config = _config(module, read, recipe)
    saved = None if checkpoint is None else checkpoint.read(config)
    training = _Training(module, read, recipe)
    if saved is not None:
        training.restore(saved)
    for epoch in range(0 if saved is None else saved.epoch, recipe.epochs):
        training.epoch()
        if checkpoint is not None:
            checkpoint.write(training.state(epoch + 1), config)
        if progress is not None:
            progress(epoch + 1, recipe.epochs)
    training.put(training.best)
    return training.finished(trained(module))


def _config(module: StepModule, data: Data, recipe: Recipe) -> dict[str, Any]:
    """What the result of a training depends on: content as digests, the rest as it is."""
    found: dict[str, Any] = {
        "snnstack": version("snnstack"),
        "model": content_digest([_array(p) for p in module.parameters()], module.teacher),
        "samples": content_digest(data.spikes, data.labels),
        **asdict(recipe),
    }
    machine = module.machine
    if isinstance(machine, OnTarget):
        found |= {
            "board": machine.board.name,
            "figures of the board": board_digest(machine.board),
            "weight_bits": machine.weight_bits,
            "granularity": machine.granularity,
        }
    return found


class _Training:
    def __init__(self, module: StepModule, data: Data, recipe: Recipe) -> None:
        self.module, self.data, self.recipe = module, data, recipe
        self.teacher = module.teacher
        usual = run_float(self.teacher, data.first(JUDGED))
        self.loss = Loss(self.teacher, usual, recipe.goals)
        self.readout = read_out(self.teacher.settings)
        found = classes(usual, self.teacher.outputs, self.readout)
        self.labels = found if data.labels is None else data.labels
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(self.parameters, recipe.rate)
        updates = recipe.epochs * -(-data.spikes.batch // recipe.batch)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, max(updates, 1))
        self.rng = np.random.default_rng(recipe.seed)
        self.mean = self.best = self._copy()
        self.reached = self._judged()

    def epoch(self) -> None:
        """Every sample once, in another order; then the running mean is judged."""
        order = self.rng.permutation(self.data.spikes.batch)
        for first in range(0, len(order), self.recipe.batch):
            self._update(order[first : first + self.recipe.batch])
        try:
            with self._holding(self.mean):
                score = self._judged()
        except (ModelError, TargetError) as error:  # what training started from was compiled
            what = f"of {self.recipe.rate:g} led to a network that is refused: {error.problems[0]}"
            raise fail(ModelError, "rate", what, "take a smaller one") from error
        if score >= self.reached:
            self.best, self.reached = self.mean, score

    def _update(self, rows: NDArray[np.int64]) -> None:
        x = _dense(self.data.spikes, rows)
        x = varied(x, self.recipe.drop, self.recipe.shift, self.rng)
        real = run_float(self.teacher, as_data({"x": x}, self.teacher.port))
        labels = None if self.data.labels is None else torch.as_tensor(self.data.labels[rows])
        loss = self.loss(self.module.run(torch.as_tensor(x)), real, labels)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimiser.step()
        if not all(p.isfinite().all() for p in self.parameters):
            what = f"of {self.recipe.rate:g}: training diverged, weights are no longer finite"
            raise fail(ModelError, "rate", what, "take a smaller one")
        self.schedule.step()
        self.mean = [
            torch.lerp(p.detach(), m, AVERAGING)
            for p, m in zip(self.parameters, self.mean, strict=True)
        ]

    def _judged(self) -> float:
        """Accuracy (without labels: classes as in float) of the present parameters' program."""
        built = trained(self.module)
        program, data = built.program, self.data.first(JUDGED)
        assert built.network is not None
        readout = in_units_of(self.readout, built.network)
        probes = output_probes(program.outputs, program.fires, readout)
        trace = emulator(program.target).emulate(program, data.spikes, probes=probes)
        found = classes(aligned(trace, data.spikes.steps), program.outputs, readout)
        return accuracy(found, self.labels[: len(found)]) or 0.0

    def finished(self, built: Build) -> Build:
        """With what the compiler fits to samples, and the comparison with the float network."""
        assert built.network is not None
        run = calibration_run(self.teacher, self.data)
        program = calibrated(self.teacher, built.program, run)
        whole = self.module.machine.whole if isinstance(self.module.machine, OnTarget) else None
        report = explain(self.teacher, built.network, program, run, whole)
        return replace(built, program=program, conversion=report)

    def state(self, epoch: int) -> State:
        """All that later epochs depend on, after `epoch` of them."""
        lists = {"now": self._copy(), "mean": self.mean, "best": self.best}
        arrays = {f"{key}_{k}": _array(p) for key, own in lists.items() for k, p in enumerate(own)}
        for k, own in self.optimiser.state_dict()["state"].items():
            arrays |= {f"adam_{k}_{name}": _array(value) for name, value in own.items()}
        values = {
            "reached": self.reached,
            "random": self.rng.bit_generator.state,
            "schedule": _plain(self.schedule.state_dict()),
            "rates": [group["lr"] for group in self.optimiser.param_groups],
        }
        return State(epoch, arrays, values)

    def restore(self, state: State) -> None:
        """Go on as if the epochs of `state` had been run here."""
        arrays, values = state.arrays, state.values
        count = len(self.parameters)
        now, self.mean, self.best = (
            [torch.tensor(arrays[f"{key}_{k}"]) for k in range(count)]
            for key in ("now", "mean", "best")
        )
        self.put(now)
        kept = self.optimiser.state_dict()
        for name, array in arrays.items():
            kind, _, rest = name.partition("_")
            if kind == "adam":
                k, _, key = rest.partition("_")
                kept["state"].setdefault(int(k), {})[key] = torch.tensor(array)
        self.optimiser.load_state_dict(kept)
        for group, rate in zip(self.optimiser.param_groups, values["rates"], strict=True):
            group["lr"] = rate
        self.schedule.load_state_dict(values["schedule"])
        self.rng.bit_generator.state = values["random"]
        self.reached = values["reached"]

    def _copy(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.parameters]

    def put(self, values: Sequence[Tensor]) -> None:
        """Give the module these parameters."""
        with torch.no_grad():
            for p, value in zip(self.parameters, values, strict=True):
                p.copy_(value)

    @contextmanager
    def _holding(self, values: Sequence[Tensor]) -> Iterator[None]:
        """The module with other parameters, for a while."""
        present = self._copy()
        self.put(values)
        try:
            yield
        finally:
            self.put(present)


def _array(values: Tensor) -> NDArray[Any]:
    return np.asarray(values.detach().cpu().numpy())


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """What of a scheduler's state is numbers, which is all of it that changes."""
    return {k: v for k, v in values.items() if isinstance(v, bool | int | float | list)}


def _dense(spikes: Spikes, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[sample, step, *shape] of some samples."""
    return np.concatenate([spikes.samples(int(k), int(k) + 1).dense() for k in rows])
