"""Command lines of verbs that need no tool: words in places where others are expected."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from snnstack.errors import SnnstackError, fail
from tests.fuzz.damage import Rng
from tests.fuzz.kind import one_of

VERBS: tuple[tuple[str, ...], ...] = (
    ("info", "a.nir"),
    ("info", "a.nir", "--board", "neurram", "--json"),
    ("compile", "a.nir", "--board", "neurram", "-o", "made"),
    ("compile", "a.nir", "--board", "oheo-gulch", "--calibrate", "a.npz", "-o", "made"),
    ("emulate", "program", "--data", "a.npz", "--probe", "lif.v", "--json"),
    ("emulate", "program", "--data", "a.npz", "--seed", "1", "-o", "t.npz"),
    ("export", "a.nir", "-o", "made.onnx"),
    ("report", "rows.json", "-o", "page.html"),
    ("netlist", "program", "-o", "circuits"),
)
WORDS = (
    *("", "-", "--", "-1", "0", "1", "2.5", "nan", "9" * 30, "x", "a" * 300, "*/", "\u202e", "\n"),
    *("a.nir", "a.npz", "program", "rows.json", "gone.nir", "program/manifest.json"),
    *("neurram", "microbit-v1", "spinnaker2-48", "lif.v", "lif", "a.npz?encode=rate&steps=2"),
    *("--json", "--board", "--data", "--seed", "--probe", "-o", "--dt", "--reset", "--readout"),
    *("--written-by", "norse", "--granularity", "channel", "--weight-bits", "--prune", "--help"),
    *("rate:2", "above:1", "--calibrate", "--quality", "--events", "count", "--integrator"),
)


def command(folder: Path, rng: Rng) -> Any:
    """A line with a few words exchanged, lost or added; an exit code other than 0, 1, 2 is ours."""
    from snnstack.cli import main

    line = list(one_of(VERBS, rng))
    for _ in range(int(rng.integers(4))):
        at = int(rng.integers(1, len(line) + 1))
        line[at : at + int(rng.integers(2))] = [one_of(WORDS, rng)] * int(rng.integers(2))
    heard = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(heard),
        contextlib.redirect_stderr(heard),
    ):
        try:
            main(line)
        except SystemExit as ended:
            said = heard.getvalue()
            if ended.code not in (0, 1, 2) or "Traceback" in said or "please report" in said:
                raise ValueError(f"{line}: {ended.code}: {said[-300:]}") from ended
            if ended.code:
                raise fail(SnnstackError, "command", "is refused") from ended
