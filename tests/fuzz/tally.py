"""Run the inputs of a kind in processes that may hang or die, and count what became of them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.fuzz.worker import SECONDS

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 8 * SECONDS
"""Seconds without a line after which a process is killed: the input hangs in foreign code."""
OUTCOMES = ("accepted", "refused", "foreign", "hang", "memory", "warning")
COLUMNS = ("inputs", "accepted", "refused", "foreign", "hangs", "over 2 GB", "warnings", "seconds")


@dataclass
class Tally:
    """Counts by outcome; `failures`: seed and what happened, for all but the first two."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, line: dict[str, Any]) -> None:
        """One input."""
        self.counts[line["outcome"]] += 1
        self.seconds += line.get("seconds", 0.0)
        if line["outcome"] not in ("accepted", "refused"):
            self.failures.append(f"{line['seed']}: {line['outcome']}: {line.get('what')}")

    def __add__(self, other: Tally) -> Tally:
        sums = self.counts + other.counts
        return Tally(sums, self.failures + other.failures, self.seconds + other.seconds)

    def row(self) -> tuple[str, ...]:
        """The numbers of `COLUMNS`."""
        parts = [str(self.counts[name]) for name in OUTCOMES]
        return (str(sum(self.counts.values())), *parts, f"{self.seconds:.0f}")


def shown(name: str, columns: tuple[str, ...]) -> str:
    """One line of the table."""
    return f"{name:20}" + "".join(f"{text:>11}" for text in columns)


def tallied(kind: str, first: int, count: int) -> Tally:
    """Inputs of a kind; a process that hangs or dies is one failure, and is replaced."""
    found, at, last = Tally(), first, first + count
    while at < last:
        argv = [sys.executable, "-m", "tests.fuzz.worker", kind, str(at), str(last)]
        for line in lines(argv, at, last):
            found.add(line)
            at = line["seed"] + 1
    return found


def lines(argv: list[str], first: int, last: int) -> Iterator[dict[str, Any]]:
    """What a process says of the seeds `first` to `last` - 1, and how it ended if it says less."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as said,  # a pipe that nobody empties would stop the process
        subprocess.Popen(
            argv, bufsize=0, stdout=subprocess.PIPE, stderr=said, cwd=ROOT, env=environment
        ) as process,
    ):
        seed = first
        try:
            assert process.stdout is not None
            while select.select([process.stdout], [], [], PATIENCE)[0]:
                text = process.stdout.readline()
                if not text:
                    break
                line = json.loads(text)
                seed = line["seed"] + 1
                yield line
            else:
                yield {"seed": seed, "outcome": "hang", "what": "only a kill ended it"}
                return
            if seed < last:
                what = f"the process died: {_end_of(said)}"
                yield {"seed": seed, "outcome": "foreign", "what": what}
        finally:
            process.kill()


def _end_of(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "without a word"
