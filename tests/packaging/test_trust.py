"""docs/trust.md claims no comparison that the tests do not hold, and its counts are today's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
OLD = 0.2
"""Share by which a count may have grown since the page was written."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trust", ROOT / "scripts" / "trust.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_counts_are_those_of_the_tests(
    script: ModuleType, request: pytest.FixtureRequest
) -> None:
    items = [item for item in request.session.items if isinstance(item, pytest.Item)]
    tests = script.collected(items)
    there = {file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py")}
    if there - {file for file, _ in tests}:
        pytest.skip("only a part of the tests was collected: run all of them")
    stale = [
        f"{what}: {now} tests, the page says {said}"
        for (what, now), said in zip(script.counts(tests), script.written(), strict=True)
        if not said <= now <= said * (1 + OLD) + 1
    ]
    assert not stale, "run scripts/trust.py"


def test_the_page_is_its_template_with_numbers(script: ModuleType) -> None:
    written = script.written()
    assert len(written) == len(script.counts([])) > 15, "run scripts/trust.py"
    assert min(written) > 0


def test_every_counted_path_is_there(script: ModuleType) -> None:
    for what, _ in script.counts([]):
        for path in what.partition(" in ")[2].split():
            assert (ROOT / path).exists(), path
