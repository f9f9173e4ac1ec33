"""Runs a network in Intel's Lava: its bit-accurate processes, in a process group of their own."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.backends.loihi.lava_job import Arrays, Job, make_job
from snnstack.backends.loihi.lava_text import STATE
from snnstack.backends.loihi.network import ChipNetwork, ChipPopulation, Cuba, Programmed
from snnstack.backends.loihi.proof import check_input
from snnstack.backends.loihi.reference import events_of, reads_while_waiting
from snnstack.errors import TargetError, ToolError, fail
from snnstack.ir.nodes import Array
from snnstack.process import started
from snnstack.target import Progress, Way
from snnstack.trace import Spikes, Trace

INSTALL = "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
START_S = 60.0
"""Time allowed for Lava to build and start a network."""
SECONDS_PER_STEP = 0.05
"""Time allowed for a step; the runtime was measured at 450 to 1,250 steps/s."""


def describe(program: Any) -> str:
    """Lava's version and what it runs on; ToolError where Lava is missing."""
    _check_installed()
    version = importlib.metadata.version("lava-nc")
    return f"Lava {version}, bit-accurate process models (fixed_pt) on this computer's CPU"


def run(
    program: Any,
    spikes: Spikes | Array,
    *,
    probes: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> Trace:
    """Execute a program or a `ChipNetwork` in Lava's runtime, the samples one after the other.

    A program runs for `max(lag)` steps more than `spikes` has, without input; a `ChipNetwork`
    for exactly its steps. `probes` as in `run_chip`: as on the chip, a voltage shows where in
    its refractory period a neuron is.

    ToolError: Lava is missing, failed, or took longer than `timeout_s`.
    """
    network, extra = _network(program)
    data = _dense(spikes, extra)
    found = _execute([make_job(network, data, "runtime")], timeout_s, data.shape[:2])[0]
    if progress is not None:
        progress(len(data), len(data))
    return _trace(network, found, probes)


def run_models(
    networks: Sequence[ChipNetwork], data: Sequence[Array], timeout_s: float | None = None
) -> list[Trace]:
    """Lava's models stepped without its runtime, all networks in one process: a quick oracle.

    `data`: for each network int64 [batch, step, n]. Traces hold every state that there is.
    """
    jobs = [make_job(n, d, "models") for n, d in zip(networks, data, strict=True)]
    steps = sum(d.shape[0] * d.shape[1] for d in data)
    results = _execute(jobs, timeout_s, (1, steps))
    return [
        _trace(network, found, every_probe(network))
        for network, found in zip(networks, results, strict=True)
    ]


def run_own(
    program: Any,
    spikes: Spikes | Array,
    *,
    board: bool = False,
    address: str | None = None,
    timeout_s: float | None = None,
) -> Trace:
    """Spikes of a program or a `ChipNetwork` in Lava's own processes, unchanged.

    On this computer's CPU, or with `board` on a Loihi 2 board that lava-loihi reaches, at the
    host `address` if given. Raises ToolError like `run`, also for what these processes do not
    have: registers per neuron, refractory periods, reset by subtraction, delays.
    """
    if board:
        _check_board()
    network, extra = _network(program)
    data = _dense(spikes, extra)
    job, arrays = make_job(network, data, "own")
    allowed = START_S * (1 + len(data)) if timeout_s is None else timeout_s
    job |= {"board": board, "address": address}
    found = _execute([(job, arrays)], allowed, data.shape[:2])[0]
    return _trace(network, found, ())


def run_on(
    program: Any,
    spikes: Spikes | Array,
    on: str,
    way: Way,
    *,
    probes: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Trace:
    """Spikes of a real board; states stay on it. `on`: "loihi", or the program's board.

    `way.address`: the board's host; without one Lava uses what it was set up with (SLURM).
    """
    if on not in ("loihi", program.board.name):
        what = f"the program was compiled for {program.board.name}"
        hint = f"compile the model again with --board {on}"
        raise fail(TargetError, f"board {on}", what, hint)
    check_input(program, spikes)
    found = run_own(program, spikes, board=True, address=way.address)
    if progress is not None:
        progress(1, 1)
    return found


def describe_on(program: Any, way: Way) -> str:
    """What `run_on` executes on."""
    where = "" if way.address is None else f" at {way.address}"
    return f"{program.board.title}{where}, through lava-loihi"


def every_probe(network: ChipNetwork) -> list[tuple[str, str]]:
    """All (population, variable) pairs of `network`."""
    return [(p.name, variable) for p in network.populations for variable in p.variables]


def _network(program: Any) -> tuple[ChipNetwork, int]:
    if isinstance(program, ChipNetwork):
        return program, 0
    network: ChipNetwork = program.network
    return network, max(network.lag.values(), default=0)


def _dense(spikes: Spikes | Array, extra: int) -> Array:
    """int64 [batch, step, n] with `extra` empty steps at the end."""
    if isinstance(spikes, Spikes):
        spikes = spikes.dense().reshape(spikes.batch, spikes.steps, spikes.n)
    return np.pad(np.asarray(spikes, dtype=np.int64), ((0, 0), (0, extra), (0, 0)))


def _trace(
    network: ChipNetwork, found: dict[str, Array], probes: Sequence[tuple[str, str]]
) -> Trace:
    spikes = {}
    for p in network.populations:
        if p.fires:
            spikes[p.name] = events_of(p, found[f"{p.name}/s"])
    states = {}
    for name, variable in probes:
        p = network.population(name)
        value = found[f"{name}/{_key(p, variable)}"].astype(np.int64)
        if variable == "v" and isinstance(p, Cuba) and p.reset == "zero":
            wait = found.get(f"{name}/wait", found[f"{name}/s"])
            value = np.where(wait > 0, reads_while_waiting(p.refractory, wait), value)
        states[name, variable] = value
    return Trace(spikes, states, lag=network.lag)


def _key(p: ChipPopulation, variable: str) -> str:
    """What Lava's process calls a variable."""
    if isinstance(p, Programmed):
        return STATE.format(variable)
    names = {"i": "u"} if isinstance(p, Cuba) else {"v": "act"}
    return names.get(variable, variable)


def installed() -> bool:
    """Whether Lava and what it needs are there."""
    return not _missing()


def _missing() -> list[str]:
    return [name for name in ("lava", "asteval", "networkx") if not _has(name)]


def _check_installed() -> None:
    missing = _missing()
    if missing:
        what = f"not found: {', '.join(missing)}"
        hint = f"{INSTALL} && pip install asteval==0.9.33 'networkx<=3.6'"
        raise fail(ToolError, "Lava", what, hint)


def _has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _check_board() -> None:
    """Lava's part for boards has to be there; it brings the adapters of `lava_board`."""
    _check_installed()
    if not all(_has(name) for name in ("lava.utils.loihi2_profiler", "lava.proc.embedded_io")):
        what = "Lava's part for Loihi hardware (lava-loihi) is not installed"
        hint = "Intel gives it to members of the Neuromorphic Research Community"
        raise fail(ToolError, "Loihi 2 hardware", what, hint)


def _execute(
    jobs: Sequence[tuple[Job, Arrays]], timeout_s: float | None, shape: tuple[int, ...]
) -> list[dict[str, Array]]:
    _check_installed()
    allowed = START_S + SECONDS_PER_STEP * shape[0] * shape[1] if timeout_s is None else timeout_s
    with tempfile.TemporaryDirectory(prefix="snnstack-lava-") as name:
        folder = Path(name)
        for index, (job, arrays) in enumerate(jobs):
            (folder / f"job{index:05d}.json").write_text(json.dumps(job))
            np.savez(folder / f"job{index:05d}.npz", **arrays)
        _wait(folder, len(jobs), allowed)
        results = []
        for index in range(len(jobs)):
            with np.load(folder / f"result{index:05d}.npz", allow_pickle=False) as result:
                results.append(dict(result))
        return results


def _wait(folder: Path, jobs: int, allowed: float) -> None:
    """Until the last result is there; its process group has ended when this returns."""
    # -P: a module that lies in the user's folder is none of ours.
    command = [sys.executable, "-P", "-m", "snnstack.backends.loihi.lava_worker", str(folder)]
    package = Path(sys.modules["snnstack"].__file__ or "")
    root = str(package.parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    log = folder / "output.txt"
    limit = time.monotonic() + allowed
    environment = {**os.environ, "PYTHONPATH": path}
    with (
        log.open("wb") as output,
        started(command, stdout=output, stderr=subprocess.STDOUT, env=environment) as child,
    ):
        try:
            while child.poll() is None and not (folder / "error.txt").exists():
                if _failed(log):
                    break
                if time.monotonic() > limit:
                    what = f"no result after {allowed:g} s"
                    raise fail(ToolError, "Lava", what, "give fewer steps or a longer timeout_s")
                time.sleep(0.05)
        finally:
            _end(child)
    if not (folder / f"result{jobs - 1:05d}.npz").exists():
        error = folder / "error.txt"
        text = (error if error.exists() else log).read_text(errors="replace").strip()
        raise fail(ToolError, "Lava", f"it failed: {(text.splitlines() or ['no output'])[-1]}")


def _failed(log: Path) -> bool:
    """Whether a Lava process reported an exception; its runtime then never comes back."""
    return b"Traceback (most recent call last)" in log.read_bytes()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child's process group, which Lava's own processes belong to."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
