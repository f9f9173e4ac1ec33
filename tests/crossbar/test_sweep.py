"""The sweep example: a row per value, statistics per chip, one figure."""

from __future__ import annotations

from pathlib import Path

from examples.crossbar_sweep import HERE, chips, figure, sweeps, table


def test_every_sweep_has_a_table_and_the_figure_is_made(tmp_path: Path) -> None:
    train, test = HERE / "digits_train.npz", HERE / "digits_test.npz"
    results = []
    for sweep in sweeps():
        ends = sweep._replace(points=(sweep.points[0], sweep.points[-1]))
        found = [
            chips(HERE / "digits.nir", "pcm-hermes", changes, test, train, 2, 40)
            for _, changes in ends.points
        ]
        results.append((ends, found))
        assert all(c.exact > 0.8 and len(c.accuracies) == 2 for c in found)
        text = table(ends, found)
        assert "(statistical)" in text
        assert len(text.splitlines()) == 6
    levels, converters = results[0][1], results[1][1]
    assert levels[0].mean < levels[1].mean
    assert converters[0].mean < converters[1].mean
    figure(results, "digits", tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 10_000
