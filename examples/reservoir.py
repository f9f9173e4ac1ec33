"""A reservoir whose weights are the conductances of a chip, on N-MNIST recordings.

    python examples/reservoir.py FOLDER [--seeds 5] [--steps 50] [--wire-ohm 2] [--adc-lsb 0.5]

FOLDER has a folder of N-MNIST `.bin` recordings for each digit. The middle 16x16 pixels and the
ON events of 300 ms enter in `--steps` steps; 200 neurons on random weights; of their spike counts
a linear read-out makes the class. Every seed is a chip, and beside it a reservoir that a computer
would draw. Accuracy is that of five-fold cross-validation. Published, with 60,000 training
samples: 89.1 % in software, 89.7 % on the chip (Lin et al., Nature Computational Science 2025).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from snnstack.backends.crossbar.circuit import Wires
from snnstack.backends.crossbar.device import load_device
from snnstack.backends.crossbar.reservoir import (
    Reservoir,
    draw_reservoir,
    fit_readout,
    software_reservoir,
    spike_counts,
)
from snnstack.frontends.event_files import read_nmnist

SIDE, NEURONS, SPAN_US, FOLDS = 16, 200, 300_000, 5
FIRST = (34 - SIDE) // 2


def recording(file: Path, steps: int) -> np.ndarray:
    """Whether an ON event came from a pixel of the middle in a step, [steps, 256]."""
    events = read_nmnist(file)
    step = events.t * steps // SPAN_US
    x, y = events.x - FIRST, events.y - FIRST
    inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE) & (step < steps)
    chosen = inside & (events.p == 1)
    seen = np.zeros((steps, SIDE * SIDE), bool)
    seen[step[chosen], y[chosen] * SIDE + x[chosen]] = True
    return seen


def recordings(folder: Path, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(spikes [sample, steps, 256], digits [sample]) of all recordings in `folder`."""
    files = sorted(folder.glob("*/*.bin"))
    if not files:
        raise SystemExit(f"{folder}: no */*.bin in it")
    return np.stack([recording(f, steps) for f in files]), np.array(
        [int(f.parent.name) for f in files]
    )


def accuracy(counts: np.ndarray, digits: np.ndarray) -> float:
    """Share of samples that a read-out trained without them puts into their class."""
    fold = np.random.default_rng(0).permutation(len(digits)) % FOLDS
    right = 0
    for held in range(FOLDS):
        readout = fit_readout(counts[fold != held], digits[fold != held])
        right += int((readout.classes(counts[fold == held]) == digits[fold == held]).sum())
    return right / len(digits)


def compare(
    spikes: np.ndarray, digits: np.ndarray, seeds: int, wires: Wires, lsb: float
) -> np.ndarray:
    """Accuracies [seed, (software, chip)], printed as they come."""
    device, found = load_device("random-forming"), []
    print("seed  software  chip    neurons that fire in a step")
    for seed in range(seeds):
        pair: list[Reservoir] = [
            software_reservoir(spikes.shape[2], NEURONS, seed),
            draw_reservoir(device, spikes.shape[2], NEURONS, seed, wires=wires, lsb=lsb),
        ]
        counts = [spike_counts(reservoir, spikes) for reservoir in pair]
        found.append([accuracy(part, digits) for part in counts])
        rates = " and ".join(f"{part.mean() / spikes.shape[1]:.1%}" for part in counts)
        print(f"{seed:4}  {found[-1][0]:7.2%}  {found[-1][1]:7.2%}  {rates}")
    return np.array(found)


def main(arguments: list[str] | None = None) -> np.ndarray:
    """Read, compare, and say how far apart the two are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--wire-ohm", type=float, default=2.0)
    parser.add_argument("--adc-lsb", type=float, default=0.5, help="in weights; 0: no converter")
    options = parser.parse_args(arguments)
    spikes, digits = recordings(options.folder, options.steps)
    wires = Wires(col=options.wire_ohm)
    found = compare(spikes, digits, options.seeds, wires, options.adc_lsb)
    mean, spread = found.mean(axis=0), found.std(axis=0)
    print(f"mean  {mean[0]:7.2%}  {mean[1]:7.2%}")
    print(f"std   {spread[0]:7.2%}  {spread[1]:7.2%}")
    print(f"the chips are {100 * (mean[1] - mean[0]):+.2f} points from software")
    return found


if __name__ == "__main__":
    main()
