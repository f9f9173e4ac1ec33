"""One process that reads many damaged inputs: `python -m tests.fuzz.worker KIND FIRST LAST`.

A line of JSON for each input goes to standard output: seed, outcome, and what was foreign.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snnstack.errors import SnnstackError
from tests.fuzz.kinds import KINDS, generator, make

SECONDS = 30
"""Of processor time: an input that takes longer hangs. The fence has a limit of its own."""
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Files that live for milliseconds: in memory where there is a place for them."""
MEMORY = 2 * 10**9
"""Bytes above what the process has taken when it begins."""


class Hang(BaseException):
    """Raised by the alarm; nothing but the harness catches it."""


def _alarm(number: int, frame: Any) -> None:
    raise Hang


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def outcome(kind: str, seed: int, wholes: Path) -> dict[str, Any]:
    """What became of one damaged input."""
    rng, folder = generator(kind, seed), Path(tempfile.mkdtemp(prefix="snnstack-fuzz-", dir=PLACE))
    try:
        make(KINDS[kind], folder, rng, wholes)
        with warnings.catch_warnings(record=True) as leaked:
            warnings.simplefilter("always")
            found = _read(kind, folder, rng)
        if leaked:
            one = leaked[0]
            text = f"{one.category.__name__}: {one.message} ({one.filename}:{one.lineno})"
            found |= {"outcome": "warning", "what": text}
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(kind: str, folder: Path, rng: Any) -> dict[str, Any]:
    try:
        with _limited():
            KINDS[kind].read(folder, rng)
    except SnnstackError as error:
        return {"outcome": "refused", "what": str(error)[:200]}
    except Hang:
        return {"outcome": "hang", "what": f"{SECONDS} s"}
    except MemoryError as error:
        return {"outcome": "memory", "what": _where(error)}
    except BaseException as error:
        return {"outcome": "foreign", "what": _where(error)}
    return {"outcome": "accepted"}


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/tests/fuzz/" not in f.filename][-1:] or frames[-1:]
    ours = [
        f for f in frames if "site-packages" not in f.filename and "/lib/python" not in f.filename
    ]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in [*own, *reversed(ours[-3:])])
    return f"{type(error).__name__}: {str(error)[:150]} [{places}]"


def main(kind: str, first: int, last: int) -> None:
    """All inputs `first` to `last` - 1."""
    signal.signal(signal.SIGPROF, _alarm)
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed by what is read does not mix with the report
    with tempfile.TemporaryDirectory(prefix="snnstack-fuzz-whole-", dir=PLACE) as folder:
        wholes = Path(folder)
        for number, source in enumerate(KINDS[kind].sources):
            (wholes / str(number)).mkdir()
            source(wholes / str(number))
        for seed in range(first, last):
            if seed == first + 1:  # what is loaded when it is first needed is there now
                _limit_memory()
            begun = time.perf_counter()
            found = outcome(kind, seed, wholes)
            line = {"seed": seed, "seconds": round(time.perf_counter() - begun, 4), **found}
            report.write(json.dumps(line) + "\n")
            report.flush()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
