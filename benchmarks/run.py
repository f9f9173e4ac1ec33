"""All benchmarks of this folder in one run: their tables, and what changed since earlier runs.

Run: python benchmarks/run.py [--only NAME ...] [--no-history]        (`make bench`)

Every script prints Markdown. Every number in its tables is kept in `history.jsonl`, one line a
run, with the kind of machine it was measured on; a number that moved by more than a quarter
against the median of earlier runs on that kind is listed, as worse, better or just changed.
Seconds depend on who else uses the machine: trust ratios and counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
HISTORY = HERE / "history.jsonl"
LIMIT_S = 1800.0
MOVED = 1.25
LAST = 5
"""Earlier runs that a number is held against."""
NUMBER = re.compile(
    r"^~?([-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(k|M|G)?\s*(%|x|KB|MB|GB|KiB|s|ms|uJ|mJ)?$"
)
LESS_IS_BETTER = re.compile(
    r"(, s\b|^seconds|\bms\b|instruction|flash|RAM|[MG]B|uJ|mJ|%$|cycles)", re.I
)
MORE_IS_BETTER = re.compile(r"(/s\b|per s|faster|\bx\b|than)", re.I)
PREFIX = {None: 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def main(arguments: list[str] | None = None) -> int:
    """Run, print, remember. 1 if a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", metavar="NAME", help="file names without .py")
    parser.add_argument("--no-history", action="store_true", help="do not add to history.jsonl")
    options = parser.parse_args(arguments)
    metrics: dict[str, float] = {}
    failed = []
    for script in scripts(options.only):
        print(f"\n## {script.stem}\n\n{headline(script)}\n", flush=True)
        text = output(script)
        if text is None:
            failed.append(script.stem)
        else:
            metrics |= {f"{script.stem}: {name}": value for name, value in numbers(text)}
    earlier = [e for e in entries() if e["machine"] == machine()]
    show_changes(list(changes(metrics, earlier)), len(earlier))
    if metrics and not options.no_history:
        entry = {"date": datetime.now(UTC).date().isoformat(), "machine": machine()}
        with HISTORY.open("a") as file:
            file.write(json.dumps(entry | {"metrics": metrics}, sort_keys=True) + "\n")
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


def scripts(only: list[str] | None) -> list[Path]:
    """The benchmarks by name; all but this file."""
    found = [file for file in sorted(HERE.glob("*.py")) if file.name != Path(__file__).name]
    return [file for file in found if not only or file.stem in only]


def headline(script: Path) -> str:
    """The first line of the script's docstring."""
    return script.read_text().split('"""')[1].strip().splitlines()[0]


def output(script: Path) -> str | None:
    """What the script prints, shown as it comes; None if it failed or took too long."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    start = time.monotonic()
    lines = []
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
            if time.monotonic() - start > LIMIT_S:
                process.kill()
        process.wait()
    print(f"\n({time.monotonic() - start:.0f} s)")
    return "".join(lines) if process.returncode == 0 else None


def numbers(text: str) -> Iterator[tuple[str, float]]:
    """(row / column, value) of every number in the Markdown tables of `text`.

    A row is named by its first cell and the words that follow it, up to the first number; what
    comes behind is measured, and may change from run to run. A cell of several numbers
    ("0.2 / 0.3 M") gives one for each, numbered.
    """
    heads: list[str] = []
    for line in text.splitlines():
        if not line.strip().startswith("|"):
            heads = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not heads:
            heads = cells
        elif not all(set(cell) <= set("-: ") for cell in cells):
            yield from _row_numbers(heads, cells)


def _row_numbers(heads: list[str], cells: list[str]) -> Iterator[tuple[str, float]]:
    values = [values_of(cell) for cell in cells[1:]]
    words = itertools.takewhile(lambda pair: not pair[1], zip(cells[1:], values, strict=True))
    name = " ".join([cells[0], *(cell for cell, _ in words)])
    for head, found in zip(heads[1:], values, strict=False):
        for number, value in enumerate(found, 1):
            yield f"{name} / {head}" + (f" #{number}" if len(found) > 1 else ""), value


def values_of(cell: str) -> list[float]:
    """The numbers in a cell, with k, M, G multiplied in; none unless it is all numbers.

    "3 of 8" is 3; a prefix or unit at the end counts for all ("0.2 / 0.3 M").
    """
    plain = cell.replace("**", "").strip()
    plain = re.sub(r"\s+of\s+[\d,]+$", "", plain)
    parts = [NUMBER.match(part.strip()) for part in plain.split(" / ")]
    matched = [part for part in parts if part is not None]
    if len(matched) < len(parts):
        return []
    last = matched[-1][2]
    return [float(m[1].replace(",", "")) * PREFIX[m[2] or last] for m in matched]


def entries() -> list[dict[str, Any]]:
    """Earlier runs, oldest first; a line that is cut short is left out."""
    if not HISTORY.exists():
        return []
    found = []
    for line in HISTORY.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def machine() -> str:
    """The kind of machine, without its name."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"


def changes(
    metrics: dict[str, float], earlier: list[dict[str, Any]]
) -> Iterator[tuple[str, float, float, str]]:
    """(name, median of the last runs, now, verdict) of every number that moved."""
    for name, now in metrics.items():
        past = [e["metrics"][name] for e in earlier if name in e["metrics"]][-LAST:]
        if not past:
            continue
        before = float(median(past))
        ratio = now / before if before else (1.0 if now == before else float("inf"))
        if 1 / MOVED <= ratio <= MOVED:
            continue
        yield name, before, now, verdict(name.rpartition(" / ")[2], ratio)


def verdict(column: str, ratio: float) -> str:
    """Whether a column that grew by `ratio` got worse."""
    if MORE_IS_BETTER.search(column):
        return "better" if ratio > 1 else "WORSE"
    if LESS_IS_BETTER.search(column):
        return "WORSE" if ratio > 1 else "better"
    return "changed"


def show_changes(found: list[tuple[str, float, float, str]], runs: int) -> None:
    """A table of what moved."""
    print("\n## Against earlier runs\n")
    if not found:
        print(f"{runs} earlier runs on this kind of machine; nothing moved by more than a quarter.")
        return
    print("| number | before | now | |\n| --- | --- | --- | --- |")
    for name, before, now, word in sorted(found, key=lambda row: (row[3] != "WORSE", row[0])):
        print(f"| {name} | {before:g} | {now:g} | {word} |")


if __name__ == "__main__":
    sys.exit(main())
