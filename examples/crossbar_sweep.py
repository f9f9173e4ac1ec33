"""Accuracy of a network on chips: against levels of a cell, converter bits, wires and drift.

    python examples/crossbar_sweep.py [--board NAME] [--seeds N] [--samples N] -o FOLDER

Writes `crossbar_sweep.md` (tables) and `crossbar_sweep.png` (figure; needs matplotlib). Every
figure is statistical: mean, spread and worst of N chips, and the share of chips at most 2 points
below the exact machine of the same row. Without a model of your own it is the digits network.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from snnstack.api import build, emulate
from snnstack.board import load_board, with_values
from snnstack.frontends.data import Data, read_data
from snnstack.report.chips import Chips
from snnstack.report.readout import accuracy, aligned, classes, output_probes

HERE = Path(__file__).parent
HOUR, DAY = 3600.0, 86400.0


class Sweep(NamedTuple):
    """One figure that is varied: its name, and for each value the changes to the board."""

    title: str
    unit: str
    logarithmic: bool
    points: tuple[tuple[float, dict[str, Any]], ...]


def sweeps() -> tuple[Sweep, ...]:
    """The four sweeps. A weight has one bit more than its cells: the sign is in the pair."""
    levels = tuple(
        (2.0**bits, {"hardware.cell_bits": bits, "hardware.weight_bits": bits + 1})
        for bits in (1, 2, 3, 4, 5, 6, 7)
    )
    bits = tuple((float(b), {"hardware.adc_bits": b}) for b in (2, 3, 4, 5, 6, 8, 10))
    wires = tuple(
        (ohm, {"coefficients.wire_row_ohm": ohm, "coefficients.wire_column_ohm": ohm})
        for ohm in (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    )
    drift = tuple(
        (seconds, {"hardware.drift_s": seconds})
        for seconds in (1.0, 60.0, HOUR, DAY, 30 * DAY, 365 * DAY)
    )
    return (
        Sweep("levels of a cell", "levels", True, levels),
        Sweep("bits of a converter", "bits", False, bits),
        Sweep("resistance of a wire segment", "ohm", False, wires),
        Sweep("time since programming", "s", True, drift),
    )


def chips(model: Path, board: str, changes: dict[str, Any], test: Path, train: Path,
          seeds: int, samples: int) -> Chips:  # fmt: skip
    """The exact machine and `seeds` chips of a board with `changes`."""
    program = build(model, with_values(load_board(board), changes), train).program
    data = read_data(test, program.port).first(samples)
    exact, *drawn = (_reached(program, data, seed) for seed in (None, *range(seeds)))
    return Chips("accuracy", exact, tuple(drawn))


def _reached(program: Any, data: Data, seed: int | None) -> float:
    probes = output_probes(program.outputs, program.fires)
    trace = aligned(emulate(program, data, seed=seed, probes=probes), data.spikes.steps)
    found = accuracy(classes(trace, program.outputs), data.labels)
    assert found is not None, "the samples have no labels"
    return found


def table(sweep: Sweep, found: list[Chips]) -> str:
    """One sweep as Markdown."""
    lines = [f"## Accuracy against the {sweep.title} (statistical)", "",
             f"| {sweep.unit} | exact machine | mean | spread | worst | yield |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for (value, _), row in zip(sweep.points, found, strict=True):
        cells = (row.exact, row.mean, row.spread, row.worst)
        shown = " | ".join(f"{100 * cell:.2f} %" for cell in cells)
        lines.append(f"| {value:g} | {shown} | {100 * row.yield_share:.0f} % |")
    return "\n".join(lines) + "\n"


def figure(results: list[tuple[Sweep, list[Chips]]], title: str, file: Path) -> None:
    """The four sweeps beside each other: mean, spread and worst."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown, axes = pyplot.subplots(2, 2, figsize=(9, 6.5), sharey=True)
    for axis, (sweep, found) in zip(axes.flat, results, strict=True):
        x = [value for value, _ in sweep.points]
        mean, spread = [100 * c.mean for c in found], [100 * c.spread for c in found]
        axis.errorbar(x, mean, spread, marker="o", capsize=3, label="chips, mean and spread")
        axis.plot(x, [100 * c.worst for c in found], "v", label="worst chip")
        axis.plot(x, [100 * c.exact for c in found], "k--", label="exact machine")
        if sweep.logarithmic:
            axis.set_xscale("log")
        axis.set_xlabel(f"{sweep.title} ({sweep.unit})")
        axis.set_ylabel("accuracy, %")
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize="small")
    shown.suptitle(title)
    shown.tight_layout()
    shown.savefig(file, dpi=120, metadata={"Software": None})
    pyplot.close(shown)


def main() -> None:
    """Run all sweeps and write tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=HERE / "digits.nir")
    parser.add_argument("--test", type=Path, default=HERE / "digits_test.npz")
    parser.add_argument("--train", type=Path, default=HERE / "digits_train.npz")
    parser.add_argument("--board", default="pcm-hermes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("-o", "--output", type=Path, required=True)
    chosen = parser.parse_args()
    results = []
    for sweep in sweeps():
        found = [
            chips(chosen.model, chosen.board, changes, chosen.test, chosen.train,
                  chosen.seeds, chosen.samples)
            for _, changes in sweep.points
        ]  # fmt: skip
        results.append((sweep, found))
        print(table(sweep, found))
    title = f"{chosen.model.stem} on {chosen.board}, {chosen.seeds} chips (statistical)"
    chosen.output.mkdir(parents=True, exist_ok=True)
    text = "\n".join([f"# {title}\n", *(table(*result) for result in results)])
    (chosen.output / "crossbar_sweep.md").write_text(text)
    figure(results, title, chosen.output / "crossbar_sweep.png")


if __name__ == "__main__":
    main()
