"""Chips of an analogue board are joined to one point: mean and standard error."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

from snnstack.sweep.run import sweep
from snnstack.sweep.spec import Spec


def test_a_sweep_over_seeds_has_a_point_for_all_chips(
    model: Path, data: Path, tmp_path: Path
) -> None:
    axes = {"board": ("neurram",), "hardware.adc_bits": (3, 8), "seed": (0, 1, 2, 3)}
    digital = {"board": ("microbit-v1",), "seed": (0, 1)}
    fixed = {"model": str(model)}
    sweep(Spec(str(data), axes, fixed=fixed), tmp_path / "a", processes=1)
    outcome = sweep(Spec(str(data), digital, fixed=fixed), tmp_path / "b", processes=1)
    every, joined = (read(tmp_path / "a" / name) for name in ("results.csv", "chips.csv"))
    assert len(every) == 8 and [row["chips"] for row in joined] == ["4", "4"]
    for point in joined:
        chips = [r for r in every if r["hardware.adc_bits"] == point["hardware.adc_bits"]]
        for name in ("accuracy", "spike_agreement", "energy_uj_typical"):
            values = [float(row[name]) for row in chips]
            assert abs(float(point[name]) - statistics.fmean(values)) < 1e-12
            error = statistics.stdev(values) / 2
            assert abs(float(point[f"{name}_se"]) - error) < 1e-12
    assert any(float(point["spike_agreement_se"]) > 0 for point in joined)
    page = (tmp_path / "a" / "results.html").read_text()
    assert "the mean of its chips" in page and "along seed" not in page
    (once,) = read(tmp_path / "b" / "chips.csv")
    assert once["status"] == "ok" and not once["chips"]
    assert tmp_path / "b" / "chips.csv" in outcome.written


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))
