"""Train a Braille network for a target with 4-bit weights, and judge it on samples it never saw.

    python examples/braille_qat.py MODEL.nir braille_validation.npz --reset zero --target mcu

needs torch. Four fifths of the samples train, one fifth judges. What comes out is the program
that does best on the training samples.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import snnstack
from snnstack.loading import discretised
from snnstack.report.readout import aligned, classes
from snnstack.samples import as_data, run_float


def share_right(program: Any, x: Any, y: Any) -> float:
    """Accuracy of a program on the emulator."""
    data = as_data({"x": x}, program.port)
    trace = aligned(snnstack.emulate(program, data), data.spikes.steps)
    return float(np.mean(classes(trace, program.outputs) == y))


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--reset", choices=("zero", "subtract"), required=True)
    parser.add_argument("--target", default="mcu")
    parser.add_argument("--weight-bits", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0, help="of training")
    parser.add_argument("--split", type=int, default=0, help="seed of the choice of the fifth")
    given = parser.parse_args()
    with np.load(given.data) as file:
        x, y = file["x"], file["y"].astype(np.int64)
    order = np.random.default_rng(given.split).permutation(len(x))
    fit, test = order[: len(x) * 4 // 5], order[len(x) * 4 // 5 :]
    options = snnstack.Options(dt=1e-4, reset=given.reset, events="binary")
    steps = discretised(snnstack.load(given.model, options))
    real = run_float(steps, as_data({"x": x[test]}, steps.inputs[0]))
    print(f"float: {np.mean(classes(real, steps.outputs) == y[test]):.2%} of the unseen samples")
    known = {"x": x[fit], "y": y[fit]}
    module = snnstack.qat(
        steps, target=given.target, weight_bits=given.weight_bits, calibrate=known
    )
    what = f"{given.target}, {given.weight_bits} bits"
    before = share_right(snnstack.trained(module).program, x[test], y[test])
    print(f"{what}, before training: {before:.2%}", flush=True)
    recipe = snnstack.Recipe(epochs=given.epochs, rate=given.rate, seed=given.seed)
    built = snnstack.fit(
        module, known, recipe, lambda done, total: print(f"epoch {done} of {total}", flush=True)
    )
    print(f"{what}, trained: {share_right(built.program, x[test], y[test]):.2%}")


if __name__ == "__main__":
    main()
