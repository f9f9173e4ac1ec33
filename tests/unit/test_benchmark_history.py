"""The runner of the benchmarks: numbers out of tables, and what counts as a regression."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

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
    spec = importlib.util.spec_from_file_location("runner", ROOT / "benchmarks" / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_are_read_from_tables(runner: ModuleType) -> None:
    assert dict(runner.numbers(TABLE)) == {
        "a m4 / 5 %": 170_000.0, "a m4 / faster than torch": 2.5, "b m0 - / 5 %": 1234.0,
    }  # fmt: skip


def test_a_regression_shows(runner: ModuleType) -> None:
    earlier = [{"metrics": {"m: a / emulate, s": v, "m: a / G synops/s": 10.0, "m: a / n": 5.0}}
               for v in (1.0, 1.1, 0.9)]  # fmt: skip
    now = {"m: a / emulate, s": 1.5, "m: a / G synops/s": 6.0, "m: a / n": 9.0, "m: new / x": 1.0}
    found = {name.rpartition(" / ")[2]: word for name, _, _, word in runner.changes(now, earlier)}
    assert found == {"emulate, s": "WORSE", "G synops/s": "WORSE", "n": "changed"}
    assert not list(runner.changes(dict(earlier[0]["metrics"]), earlier))


def test_every_benchmark_has_a_headline(runner: ModuleType) -> None:
    for script in runner.scripts(None):
        assert len(runner.headline(script)) > 20, script
