"""Train a Braille network for a target with 4-bit weights, and judge it on samples it never saw.

    python examples/braille_qat.py MODEL.nir braille_validation.npz --reset zero --target mcu

needs torch. Four fifths of the samples train, one fifth judges; the program that does best on
the training samples is kept.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

import snnstack
from snnstack.loading import discretised
from snnstack.report.readout import aligned, classes
from snnstack.samples import as_data, run_float

BATCH = 48
GAIN = 0.2
"""From spike counts to logits."""


def share_right(program: Any, x: Any, y: Any) -> float:
    """Accuracy of a program on the emulator."""
    data = as_data({"x": x}, program.port)
    trace = aligned(snnstack.emulate(program, data), data.spikes.steps)
    return float(np.mean(classes(trace, program.outputs) == y))


def train(module: Any, x: Any, y: Any, epochs: int, rate: float) -> Any:
    """The best program, judged by the training samples."""
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, rate)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best = snnstack.trained(module).program
    reached = share_right(best, x, y)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            counts = module(inputs[rows]).sum(1)
            loss = torch.nn.functional.cross_entropy(counts * GAIN, labels[rows])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimiser.step()
            schedule.step()
        program = snnstack.trained(module).program
        now = share_right(program, x, y)
        print(f"epoch {epoch + 1}: {now:.2%} of the training samples", flush=True)
        if now >= reached:
            best, reached = program, now
    return best


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--reset", choices=("zero", "subtract"), required=True)
    parser.add_argument("--target", default="mcu")
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    given = parser.parse_args()
    torch.manual_seed(0)
    with np.load(given.data) as file:
        x, y = file["x"], file["y"].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(x))
    fit, test = order[: len(x) * 4 // 5], order[len(x) * 4 // 5 :]
    options = snnstack.Options(dt=1e-4, reset=given.reset, events="binary")
    steps = discretised(snnstack.load(given.model, options))
    real = run_float(steps, as_data({"x": x[test]}, steps.inputs[0]))
    print(f"float: {np.mean(classes(real, steps.outputs) == y[test]):.2%} of the unseen samples")
    module = snnstack.qat(
        steps,
        target=given.target,
        weight_bits=given.weight_bits,
        calibrate={"x": x[fit], "y": y[fit]},
    )
    before = share_right(snnstack.trained(module).program, x[test], y[test])
    print(f"{given.target}, {given.weight_bits} bits, before training: {before:.2%}")
    program = train(module, x[fit], y[fit], given.epochs, given.rate)
    after = share_right(program, x[test], y[test])
    print(f"{given.target}, {given.weight_bits} bits, trained: {after:.2%}")


if __name__ == "__main__":
    main()
