"""Arrays as SPICE netlists, and their solution by ngspice: a second opinion on every circuit.

Nothing here uses the solvers of `circuit`: each wire segment and each cell is written out as an
element of its own, and only what ngspice prints is read back.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snnstack.backends.crossbar.circuit.array import Array, Reals, check_drive
from snnstack.errors import ToolError, fail
from snnstack.foreign_text import comment
from snnstack.process import completed

TOOL = "ngspice"
INSTALL = "apt-get install ngspice"

TITLE = 400
"""Characters of a netlist's first line."""
_PER_LINE = 8
"""Currents printed by one command."""


@dataclass(frozen=True)
class SpiceResult:
    """What ngspice found, in ampere.

    `currents` [batch, cols] into the virtual grounds, `driver_currents` out of the drivers
    [batch, rows], of gated_bl [batch, cols].
    """

    currents: Reals
    driver_currents: Reals


def netlist(array: Array, drive: npt.ArrayLike, title: str = "crossbar array") -> str:
    """The circuit of `array` for one vector `drive` [rows] in volts, as ngspice reads it.

    Nodes: `w<row>_<col>` on word or source lines, `b<row>_<col>` on bit lines; `vi<n>` are the
    drivers, `vo<col>` the virtual grounds. The control section prints all their currents.
    """
    v = check_drive(array, np.asarray(drive, np.float64)[None])[0]
    drivers = array.cols if array.topology == "gated_bl" else array.rows
    names = [f"i(vo{j})" for j in range(array.cols)] + [f"i(vi{i})" for i in range(drivers)]
    prints = (
        "print " + " ".join(names[at : at + _PER_LINE]) for at in range(0, len(names), _PER_LINE)
    )
    settings = ".options reltol=1e-9 abstol=1e-15 vntol=1e-12 itl1=500"
    control = (".control", "set numdgt=15", "op", *prints, "quit", ".endc", ".end")
    lines = (f"* {comment(title, TITLE)}", settings, *_elements(array, v), *control)
    return "\n".join(lines) + "\n"


def _elements(array: Array, v: Reals) -> Iterator[str]:
    wires, rows, cols = array.wires, array.rows, array.cols
    yield from (_column_sources(array, v) if array.topology == "gated_bl" else _rows(array, v))
    for j in range(cols):
        for i in range(rows):
            last = i == rows - 1
            below = f"o{j}" if last else f"b{i + 1}_{j}"
            ohm = wires.col + (wires.sense if last else 0.0)
            yield _wire(f"b{i}_{j}", f"b{i}_{j}", below, ohm)
        yield f"vo{j} o{j} 0 dc 0"
    for i in range(rows):
        if array.gated and v[i] == 0:
            continue
        for j in range(cols):
            yield from _cell(array, i, j)


def _rows(array: Array, v: Reals) -> Iterator[str]:
    """Word lines (source lines of gated_wl), each with its driver at the left."""
    for i in range(array.rows):
        yield f"vi{i} d{i} 0 dc {_number(v[i])}"
        for j in range(array.cols):
            ohm = array.wires.row + (array.wires.driver if j == 0 else 0.0)
            before = f"w{i}_{j - 1}" if j else f"d{i}"
            yield _wire(f"w{i}_{j}", before, f"w{i}_{j}", ohm)


def _column_sources(array: Array, v: Reals) -> Iterator[str]:
    """Source lines of gated_bl, each with its driver at the top or at the bottom."""
    volt = v[np.argmax(np.abs(v))]
    order = range(array.rows) if array.driven_from == "top" else range(array.rows - 1, -1, -1)
    for j in range(array.cols):
        yield f"vi{j} d{j} 0 dc {_number(volt)}"
        before, ohm = f"d{j}", array.wires.source_line + array.wires.driver
        for i in order:
            yield _wire(f"w{i}_{j}", before, f"w{i}_{j}", ohm)
            before, ohm = f"w{i}_{j}", array.wires.source_line


def _cell(array: Array, i: int, j: int) -> Iterator[str]:
    g, top, bottom = array.g[i, j], f"w{i}_{j}", f"b{i}_{j}"
    if g == 0:
        return
    if array.gated and array.wires.access:
        yield f"rt{i}_{j} {top} t{i}_{j} {_number(array.wires.access)}"
        top = f"t{i}_{j}"
    if array.cell.linear:
        yield f"rc{i}_{j} {top} {bottom} {_number(1.0 / g)}"
        return
    x, a2, a3 = f"v({top},{bottom})", _number(array.cell.a2), _number(array.cell.a3)
    yield f"bc{i}_{j} {top} {bottom} i={_number(g)}*{x}*(1+{x}*({a2}+{x}*({a3})))"


def _wire(name: str, one: str, other: str, ohm: float) -> str:
    """A segment; one without resistance is a source of 0 V, for SPICE knows no such resistor."""
    return f"r{name} {one} {other} {_number(ohm)}" if ohm else f"v{name} {one} {other} dc 0"


def _number(value: float) -> str:
    return repr(float(value))


def run_spice(array: Array, drive: npt.ArrayLike, *, timeout_s: float = 600.0) -> SpiceResult:
    """`array` solved by ngspice for `drive` [batch, rows] in volts, one run for each vector.

    64 rows and columns take seconds, 128 a minute. Raises `ToolError` if ngspice is missing,
    fails, or runs longer than `timeout_s` for one vector.
    """
    require()
    v = check_drive(array, drive)
    drivers = array.cols if array.topology == "gated_bl" else array.rows
    found = [_read(_run(netlist(array, vector), timeout_s), array.cols, drivers) for vector in v]
    currents = np.array([out for out, _ in found]).reshape(len(v), array.cols)
    return SpiceResult(currents, np.array([into for _, into in found]).reshape(len(v), drivers))


def require() -> None:
    """`ToolError` with the install command if ngspice is not installed."""
    if shutil.which(TOOL) is None:
        raise fail(ToolError, TOOL, "not found", f"install it: {INSTALL}")


def _run(text: str, timeout_s: float) -> str:
    """What ngspice prints; it reads no `.spiceinit`, neither of a folder nor of the user."""
    with tempfile.TemporaryDirectory(prefix="snnstack-") as folder:
        file = Path(folder) / "array.cir"
        file.write_text(text)
        argv = [TOOL, "-n", "-b", file.name]
        try:
            done = completed(argv, timeout_s=timeout_s, cwd=Path(folder))
        except subprocess.TimeoutExpired as error:
            what = f"not ready after {timeout_s:g} s"
            raise fail(ToolError, TOOL, what, "use a smaller array, or more time") from error
    return done.stdout + done.stderr


_VALUE = re.compile(r"^i\((v[io])(\d+)\) = (\S+)\s*$", re.MULTILINE)


def _read(output: str, cols: int, drivers: int) -> tuple[Reals, Reals]:
    """(column currents, driver currents) that ngspice printed; `ToolError` if any is missing."""
    out, into = np.full(cols, np.nan), np.full(drivers, np.nan)
    for kind, number, value in _VALUE.findall(output):
        if kind == "vo":
            out[int(number)] = float(value)
        else:
            into[int(number)] = -float(value)
    if not (np.isfinite(out).all() and np.isfinite(into).all()):
        tail = " | ".join(line.strip() for line in output.splitlines()[-6:] if line.strip())
        raise fail(ToolError, TOOL, f"found no solution: {tail or 'it printed nothing'}")
    return out, into
