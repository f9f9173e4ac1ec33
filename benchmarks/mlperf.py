"""What the cycle and energy model predicts beside what MLPerf Tiny measured: anomaly detection.

Run: python benchmarks/mlperf.py
"""

from __future__ import annotations

from collections.abc import Iterable

from snnstack.backends.mcu.mlperf import ROWS, Prediction, predict

HEADS = ("board", "role", "k cycles", "lowest, highest k cycles", "measured k cycles",
         "ratio of times", "uJ", "lowest, highest uJ", "measured uJ",
         "ratio of energies", "in the band")  # fmt: skip


def cells(found: Prediction) -> tuple[str, ...]:
    """One line of the table."""
    low, typical, high = (value / 1e3 for value in found.cycles)
    measured, energy, row = found.measured_cycles / 1e3, found.energy_uj, found.row
    return (
        row.board, row.role, f"{typical:.0f}", f"{low:.0f} / {high:.0f}", f"{measured:.0f}",
        f"{typical / measured:.2f}", f"{energy.typical:.0f}",
        f"{energy.low:.0f} / {energy.high:.0f}", f"{row.energy_uj:.0f}",
        f"{energy.typical / row.energy_uj:.2f}", "yes" if found.holds else "NO",
    )  # fmt: skip


def main(predictions: Iterable[Prediction] | None = None) -> None:
    """One line a row of the suite, int8, per inference."""
    print("| " + " | ".join(HEADS) + " |\n" + "| --- " * len(HEADS) + "|")
    for found in map(predict, ROWS) if predictions is None else predictions:
        print("| " + " | ".join(cells(found)) + " |", flush=True)


if __name__ == "__main__":
    main()
