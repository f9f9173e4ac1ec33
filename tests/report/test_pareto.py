"""A line on a plot joins only points that can be told apart."""

from __future__ import annotations

from scipy.stats import binomtest

from snnstack.report.charts import scatter
from snnstack.report.pareto import share_interval

BOX = (0.0, 0.0, 100.0, 100.0)
POINTS = [(1.0, 90.0), (10.0, 95.0)]


def line(x: list[tuple[float, float]], y: list[tuple[float, float]]) -> str:
    return str(scatter(POINTS, x, box=BOX, heights=y)["front"])


def test_points_apart_in_both_are_joined() -> None:
    assert line([(0.5, 2), (5, 20)], [(89, 91), (94, 96)]).count("L") == 1


def test_points_whose_energies_overlap_are_not() -> None:
    assert line([(0.5, 6), (5, 20)], [(89, 91), (94, 96)]) == ""


def test_points_whose_accuracies_overlap_are_not() -> None:
    assert line([(0.5, 2), (5, 20)], [(85, 95), (90, 98)]) == ""


def test_the_interval_of_a_share_is_wilsons() -> None:
    theirs = binomtest(37, 40).proportion_ci(0.9, method="wilson")
    low, high = share_interval(37 / 40, 40)
    assert abs(low - theirs.low) < 1e-4 and abs(high - theirs.high) < 1e-4
