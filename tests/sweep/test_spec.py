"""What a sweep may say, and how it is told what is wrong: everything at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snnstack.board import load_board
from snnstack.errors import DataError
from snnstack.sweep.point import changed
from snnstack.sweep.spec import make_spec, parse_axis, read_spec
from tests.cli.calls import Refused

GOOD: dict[str, Any] = {"model": "m.nir", "data": "d.npz", "grid": {"board": ["loihi1"]}}


def test_points_are_the_grid_in_order() -> None:
    spec = make_spec({**GOOD, "grid": {"board": "loihi1", "seed": [0, 1], "steps": [5, 9]}}, "s")
    assert len(spec) == 4
    assert [(p["seed"], p["steps"]) for p in spec.points()] == [(0, 5), (0, 9), (1, 5), (1, 9)]
    assert all(p["model"] == "m.nir" for p in spec.points())


def test_tables_are_dotted_axes() -> None:
    spec = make_spec({**GOOD, "grid": {"board": "loihi1", "hardware": {"wire": [1, 2.5]}}}, "s")
    assert spec.axes["hardware.wire"] == (1, 2.5)


def test_everything_wrong_is_said_at_once() -> None:
    grid = {"board": ["loihi", 3], "speed": [1], "seed": [-1], "steps": [], "reset": ["soft"],
            "threshold": [0.0, float("nan")], "weight_bits": [4.5]}  # fmt: skip
    with pytest.raises(DataError) as error:
        make_spec({"samples": 0, "colour": 1, "grid": grid}, "s.toml")
    found = str(error.value).splitlines()
    named = [line.removeprefix("s.toml: ").split(":")[0] for line in found]
    assert named == [
        "colour", "samples", "data", "model", "grid.board", "board loihi", "grid.speed",
        "grid.seed", "grid.steps", "grid.reset", "grid.threshold", "grid.threshold",
        "grid.weight_bits",
    ]  # fmt: skip
    assert "s.toml: grid.threshold: expected a number above 0, got 0.0" in found
    assert "s.toml: grid.weight_bits: expected int, got 4.5" in found
    assert "s.toml: samples: expected a whole number from 1, got 0" in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file (see docs/sweep.md)"),
        ("a = [", "is not TOML: Invalid value (at end of document) (see docs/sweep.md)"),
    ],
)
def test_a_file_that_is_no_sweep_is_named(
    refused: Refused, tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "s.toml").write_text(content)
    assert (
        refused("sweep", tmp_path / "s.toml", "-o", tmp_path / "o") == f"error: s.toml: {message}"
    )
    assert not (tmp_path / "o").exists()


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.nir").touch()
    text = 'model = "m.nir"\ndata = "elsewhere.npz?encode=rate"\n[grid]\nboard = "loihi1"\n'
    (tmp_path / "s.toml").write_text(text)
    spec = read_spec(tmp_path / "s.toml")
    assert spec.fixed["model"] == str(tmp_path / "m.nir")
    assert spec.data == "elsewhere.npz?encode=rate"


@pytest.mark.parametrize("text", ["board", "=1", "seed=", "seed=5..3"])
def test_an_axis_that_is_none_is_named(text: str) -> None:
    with pytest.raises(DataError, match=f"--vary {text}"):
        parse_axis(text)


def test_a_point_may_change_its_board() -> None:
    board = load_board("loihi1")
    found = changed(board, {"coefficients.synop_dense_pj": 7, "capacity.chips": 2, "seed": 1})
    changed_one = found.coefficients["synop_dense_pj"]
    assert (changed_one.low, changed_one.high, changed_one.status) == (7, 7, "estimated")
    assert found.capacity["chips"].value == 2
    assert changed(board, {"seed": 1}) is board


def test_a_key_that_the_board_lacks_is_named() -> None:
    with pytest.raises(DataError, match=r"board loihi1: has no capacity.lanes \(capacity has: ch"):
        changed(load_board("loihi1"), {"capacity.lanes": 2})
