"""The runner of the benchmarks: numbers out of tables, and what counts as a regression."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from snnstack.backends.mcu.mlperf import Prediction, Row
from snnstack.energy.model import Band

ROOT = Path(__file__).resolve().parents[2]
TABLE = """
text

| board | core | 5 % | faster than torch |
| --- | --- | --- | --- |
| a | m4 | 0.170 M | 2.5 x |
| b | m0 | 1,234 | - |
"""


@pytest.fixture
def runner() -> ModuleType:
    return script("run")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_are_read_from_tables(runner: ModuleType) -> None:
    assert dict(runner.numbers(TABLE)) == {
        "a m4 / 5 %": 170_000.0, "a m4 / faster than torch": 2.5, "b m0 / 5 %": 1234.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("2.2% / 8.5%", [2.2, 8.5]),
        ("0.198 / 0.349 M", [198_000.0, 349_000.0]),
        ("1,204 of 8,192", [1204.0]),
        ("**3.5 x**", [3.5]),
        ("784-128-10", []),
        ("cortex-m4 / m3", []),
        ("never: 44% of it at 50%", []),
    ],
)
def test_a_cell_may_hold_several_numbers(
    runner: ModuleType, cell: str, values: list[float]
) -> None:
    assert runner.values_of(cell) == values


def test_a_row_keeps_its_name_when_a_figure_changes(runner: ModuleType) -> None:
    """What stands behind the first number is measured, and no part of the name."""
    table = "| board | bits | rate | meets |\n| --- | --- | --- | --- |\n| a | 8 bit | 2 % | {} |"
    names = [
        [name for name, _ in runner.numbers(table.format(end))] for end in ("never: 4 %", "at last")
    ]
    assert names[0] == names[1] == ["a 8 bit / rate"]


def test_the_rows_of_mlperf_are_remembered(
    runner: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("a board", 100.0, 50.0, "left out", "somebody")
    found = Prediction(row, 2e6, Band(1e6, 3e6, 4e6), Band(20.0, 40.0, 60.0))
    script("mlperf").main([found])
    assert dict(runner.numbers(capsys.readouterr().out)) == {
        "a board left out / k cycles": 3000, "a board left out / lowest, highest k cycles #1": 1000,
        "a board left out / lowest, highest k cycles #2": 4000,
        "a board left out / measured k cycles": 2000, "a board left out / ratio of times": 1.5,
        "a board left out / uJ": 40, "a board left out / lowest, highest uJ #1": 20,
        "a board left out / lowest, highest uJ #2": 60, "a board left out / measured uJ": 50,
        "a board left out / ratio of energies": 0.8,
    }  # fmt: skip


def test_a_run_is_added_to_the_history(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.py").write_text('"""A benchmark of nothing much."""\nprint(TABLE)'.replace(
        "TABLE", repr("| what | n |\n| --- | --- |\n| a | 3 |")))  # fmt: skip
    monkeypatch.setattr(runner, "HERE", tmp_path)
    monkeypatch.setattr(runner, "HISTORY", tmp_path / "history.jsonl")
    assert runner.main([]) == 0
    assert runner.main(["--no-history"]) == 0
    (entry,) = runner.entries()
    assert entry["metrics"] == {"one: a / n": 3.0}


def test_a_regression_shows(runner: ModuleType) -> None:
    earlier = [{"metrics": {"m: a / emulate, s": v, "m: a / G synops/s": 10.0, "m: a / n": 5.0}}
               for v in (1.0, 1.1, 0.9)]  # fmt: skip
    now = {"m: a / emulate, s": 1.5, "m: a / G synops/s": 6.0, "m: a / n": 9.0, "m: new / x": 1.0}
    found = {name.rpartition(" / ")[2]: word for name, _, _, word in runner.changes(now, earlier)}
    assert found == {"emulate, s": "WORSE", "G synops/s": "WORSE", "n": "changed"}
    assert not list(runner.changes(dict(earlier[0]["metrics"]), earlier))


def test_every_benchmark_has_a_headline_and_a_table(runner: ModuleType) -> None:
    """Only what stands in a table is remembered."""
    for file in runner.scripts(None):
        assert len(runner.headline(file)) > 20, file
        assert "| --- " in file.read_text(), file
