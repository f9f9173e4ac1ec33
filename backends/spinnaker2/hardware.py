"""Runs the emitted py-spinnaker2 program on a machine at a given address."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from snnstack.backends.spinnaker2.program import Program
from snnstack.backends.spinnaker2.sdk import FOLDER, sdk_files
from snnstack.errors import DataError, TargetError, ToolError, fail
from snnstack.ir.nodes import Array
from snnstack.ir.step import size
from snnstack.npz import read_npz
from snnstack.process import execute
from snnstack.target import Way
from snnstack.trace import Spikes, Trace

Progress = Callable[[int, int], None]
SECONDS_PER_SAMPLE = 60.0
"""Time allowed for loading and running a sample; the package loads the network for each."""


def run_on(
    program: Program,
    spikes: Spikes,
    on: str,
    way: Way,
    *,
    probes: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Trace:
    """Spikes of the machine at `way.address`: what the emitted Python program brings back.

    No states: `probes` are left out. `on`: "spinnaker2", or the name of the program's board.
    Raises `TargetError` without an address or for another board, `DataError` for counts (the
    package sends one spike a step), `ToolError` if py-spinnaker2 is missing, fails or does not
    end in time.
    """
    _check(program, spikes, on, way)
    with tempfile.TemporaryDirectory(prefix="snnstack-spinnaker2-") as name:
        folder = Path(name)
        for path, content in sdk_files(program).items():
            (folder / Path(path).name).write_bytes(content)
        x = spikes.dense().reshape(spikes.batch, spikes.steps, spikes.n)
        np.savez_compressed(folder / "input.npz", x=x)
        argv = [
            sys.executable,
            "network.py",
            "input.npz",
            "output.npz",
            f"--address={way.address}",
        ]
        _execute(argv, SECONDS_PER_SAMPLE * (spikes.batch + 1), folder)
        if progress is not None:
            progress(spikes.batch, spikes.batch)
        return _trace(program, spikes, read_npz(folder / "output.npz"))


def describe_on(program: Program, way: Way) -> str:
    """What `run_on` executes on."""
    return f"{program.board.title} at {way.address}, through {FOLDER}/network.py"


def _execute(argv: Sequence[str], timeout_s: float, folder: Path) -> None:
    try:
        execute(argv, timeout_s=timeout_s, cwd=folder)
    except ToolError as error:
        if "No module named 'spinnaker2'" not in str(error):
            raise
        hint = "it is not on PyPI: see spinnaker2.gitlab.io/py-spinnaker2"
        raise fail(ToolError, "py-spinnaker2", "not found", hint) from error


def _check(program: Program, spikes: Spikes, on: str, way: Way) -> None:
    if on not in ("spinnaker2", program.board.name):
        what = f"the program was compiled for {program.board.name}"
        hint = f"compile the model again with --board {on}"
        raise fail(TargetError, f"board {on}", what, hint)
    if way.address is None:
        hint = "name the board's Ethernet address: --address IP"
        raise fail(TargetError, on, "no address of a machine", hint)
    if spikes.counts is not None and spikes.counts.max(initial=0) > 1:
        most = int(spikes.counts.max())
        what = f"an element has {most} spikes in a step, py-spinnaker2 sends at most 1"
        raise fail(DataError, program.network.input.name, what, "use binary input spikes")


def _trace(program: Program, spikes: Spikes, found: Mapping[str, Array]) -> Trace:
    steps, fired = spikes.steps + program.drain, {}
    for number, p in enumerate(program.network.populations):
        if not program.fires.get(p.name, False):  # a result, or a relay
            continue
        indptr, indices = found[f"{number}_indptr"], found[f"{number}_indices"]
        if len(indptr) != spikes.batch * steps + 1 or indices.max(initial=0) >= size(p.shape):
            what = f"the program brought back {len(indptr) - 1} steps of {p.name}"
            raise fail(ToolError, "py-spinnaker2", f"{what}, expected {spikes.batch * steps}")
        fired[p.name] = Spikes(p.shape, spikes.batch, steps, indptr.astype(np.int64), indices)
    return Trace(fired, lag=dict(program.lag))
