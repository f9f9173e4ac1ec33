"""The training loop of `fit`: the float network is the teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snnstack.building import Build, calibrated, explain
from snnstack.frontends.data import Data
from snnstack.report.readout import accuracy, aligned, classes, in_units_of, output_probes, read_out
from snnstack.samples import Samples, as_data, calibration_run, judged_stream, run_float
from snnstack.target import Progress, emulator
from snnstack.trace import Spikes
from snnstack.training.augment import varied
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
    module: StepModule, data: Samples, recipe: Recipe, progress: Progress | None = None
) -> Build:
    """See `snnstack.training.fit`."""
    training = _Training(module, judged_stream(data, module.graph).read(), recipe)
    for epoch in range(recipe.epochs):
        training.epoch()
        if progress is not None:
            progress(epoch + 1, recipe.epochs)
    training.put(training.best)
    return training.finished(trained(module))


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
        with self._holding(self.mean):
            score = self._judged()
        if score >= self.reached:
            self.best, self.reached = self.mean, score

    def _update(self, rows: NDArray[np.int64]) -> None:
        x = _dense(self.data.spikes, rows)
        x = varied(x, self.recipe.drop, self.recipe.shift, self.rng)
        real = run_float(self.teacher, as_data({"x": x}, self.teacher.inputs[0]))
        labels = None if self.data.labels is None else torch.as_tensor(self.data.labels[rows])
        loss = self.loss(self.module.run(torch.as_tensor(x)), real, labels)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimiser.step()
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


def _dense(spikes: Spikes, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[sample, step, *shape] of some samples."""
    return np.concatenate([spikes.samples(int(k), int(k) + 1).dense() for k in rows])
