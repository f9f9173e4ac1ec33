"""Prints what the cycle and energy model predicts beside what MLPerf Tiny measured."""

from __future__ import annotations

from snnstack.backends.mcu.mlperf import ROWS, predict


def main() -> None:
    """One line a row."""
    print("MLPerf Tiny, anomaly detection, int8, per inference: predicted (low-high), measured")
    for row in ROWS:
        found = predict(row)
        low, typical, high = (value / 1e3 for value in found.cycles)
        measured = found.measured_cycles / 1e3
        energy = found.energy_uj
        print(
            f"{row.board:16} {row.role:11} {typical:6.0f} ({low:.0f}-{high:.0f}) kcycles, "
            f"{measured:.0f} measured, ratio {typical / measured:.2f}; {energy.typical:.0f} "
            f"({energy.low:.0f}-{energy.high:.0f}) uJ, {row.energy_uj:.0f} measured, ratio "
            f"{energy.typical / row.energy_uj:.2f}, in the band: {'yes' if found.holds else 'NO'}"
        )


if __name__ == "__main__":
    main()
