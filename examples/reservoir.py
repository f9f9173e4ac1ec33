"""A reservoir whose weights are a chip's random conductances, on recordings of digits.

First stage of the zero-shot liquid state machine (Lin et al., Nature Computational Science 5,
2025): N-MNIST, a 16x16 crop, ON events, 200 neurons, 50 steps. A software reservoir of normal
numbers and reservoirs of several chips are compared; each has its own linear read-out.

    python examples/reservoir.py FOLDER      FOLDER/<digit>/<id>.bin: N-MNIST recordings
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.backends.crossbar.device import load_device
from snnstack.backends.crossbar.reservoir import (
    Reservoir,
    chip_weights,
    features,
    predicted,
    read_out,
    software_weights,
)
from snnstack.board import load_board
from snnstack.trace import Spikes

STEPS, BIN_US, FIRST, SIDE = 50, 6000, 9, 16
FOLDS = 5
BOARD, DEVICE = "rram-40nm-256kb", "random-forming"


def frames(file: Path) -> Any:
    """uint8 [50, 256]: whether a pixel of the crop had an ON event in each 6 ms.

    40 bits an event: x 8, y 8, polarity 1, time in microseconds 23.
    """
    raw = np.fromfile(file, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, on = raw[:, 0] - FIRST, raw[:, 1] - FIRST, raw[:, 2] >> 7
    step = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) // BIN_US
    inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE) & (step < STEPS) & (on == 1)
    found = np.zeros((STEPS, SIDE, SIDE), np.uint8)
    found[step[inside], y[inside], x[inside]] = 1
    return found.reshape(STEPS, -1)


def recordings(folder: Path) -> tuple[Spikes, Any]:
    """All recordings of a folder and their digits, in a fixed shuffled order."""
    files = sorted(folder.glob("*/*.bin"))
    chosen = [files[k] for k in np.random.default_rng(0).permutation(len(files))]
    labels = np.array([int(file.parent.name) for file in chosen])
    return Spikes.from_dense(np.stack([frames(file) for file in chosen])), labels


def cross_validated(x: Any, y: Any) -> float:
    """Accuracy on samples that the read-out was not trained on, each once."""
    right = 0
    for fold in range(FOLDS):
        test = np.arange(len(y)) % FOLDS == fold
        right += int(np.sum(predicted(read_out(x[~test], y[~test]), x[test]) == y[test]))
    return right / len(y)


def compared(spikes: Spikes, labels: Any, seeds: int) -> tuple[list[float], list[float]]:
    """(software accuracies, chip accuracies), one for each seed."""
    shape, device, board = Reservoir(), load_device(DEVICE), load_board(BOARD)
    software = [
        cross_validated(features(shape, software_weights(shape, s), spikes), labels)
        for s in range(seeds)
    ]
    chips = [
        cross_validated(features(shape, chip_weights(shape, device, board, s), spikes), labels)
        for s in range(seeds)
    ]
    return software, chips


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="N-MNIST recordings, FOLDER/<digit>/<id>.bin")
    parser.add_argument("--seeds", type=int, default=5, help="reservoirs of each kind")
    chosen = parser.parse_args()
    spikes, labels = recordings(chosen.folder)
    software, chips = compared(spikes, labels, chosen.seeds)
    print(f"{len(labels)} recordings, {FOLDS}-fold cross-validation, {chosen.seeds} seeds")
    for name, found in (("software", software), (f"chips ({DEVICE}), statistical", chips)):
        spread = np.std(found, ddof=1) if len(found) > 1 else 0.0
        print(f"{name}: {100 * np.mean(found):.2f} +- {100 * spread:.2f} %, worst "
              f"{100 * min(found):.2f} %")  # fmt: skip
    print(f"difference of the means: {100 * (np.mean(chips) - np.mean(software)):+.2f} points")


if __name__ == "__main__":
    main()
