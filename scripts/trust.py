"""The table of what is compared with what: `docs/trust.md` from its template and today's tests.

Run: python scripts/trust.py            collects the tests and writes docs/trust.md
     python scripts/trust.py --check    fails if it is not what would be written

In the template `{tests MARKER in PATH ...}` is the number of collected tests with a marker (`any`
for all) under the paths.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE, TEMPLATE = ROOT / "docs" / "trust.md", ROOT / "scripts" / "trust.md.in"
COUNT = re.compile(r"\{tests (\w+) in ([^}]+)\}")

Collected = list[tuple[str, frozenset[str]]]
"""(file below the project, names of its markers) of every test."""


def collected(items: Iterable[pytest.Item]) -> Collected:
    """What the counts are made of."""
    return [
        (item.location[0], frozenset(mark.name for mark in item.iter_markers())) for item in items
    ]


def number(tests: Collected, marker: str, paths: str) -> int:
    """Tests with `marker` under the `paths`, which blanks separate."""
    below = tuple(paths.split())
    return sum(file.startswith(below) and marker in ("any", *marks) for file, marks in tests)


def counts(tests: Collected) -> list[tuple[str, int]]:
    """(what is counted, how many) in the order of the template."""
    found = COUNT.findall(TEMPLATE.read_text())
    return [(f"{marker} in {paths}", number(tests, marker, paths)) for marker, paths in found]


def page(tests: Collected) -> str:
    """The text of docs/trust.md."""
    return COUNT.sub(lambda m: f"{number(tests, m[1], m[2]):,}", TEMPLATE.read_text())


def written() -> list[int]:
    """The numbers that docs/trust.md has where the template has counts."""
    parts = [re.escape(part) for part in COUNT.split(TEMPLATE.read_text())[::3]]
    found = re.fullmatch(r"([\d,]+)".join(parts), PAGE.read_text())
    return [] if found is None else [int(text.replace(",", "")) for text in found.groups()]


class _Keeper:
    """A plug-in of pytest that keeps what was collected."""

    def __init__(self) -> None:
        self.tests: Collected = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tests = collected(session.items)


def main(arguments: list[str] | None = None) -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args(arguments).check
    keeper = _Keeper()
    call = ["--collect-only", "-q", "-q", "-p", "no:cacheprovider", str(ROOT / "tests")]
    if pytest.main(call, plugins=[keeper]) != 0:
        return 1
    text = page(keeper.tests)
    if check:
        stale = text != PAGE.read_text()
        print("trust.md is stale: run scripts/trust.py" if stale else "trust.md is up to date")
        return int(stale)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
