"""What a chip's cells do: every draw is keyed, so a chip is the same in any order of work.

Conductances are in siemens, times in seconds since programming. `seed` is the chip, `tile` the
array on it: the same two give the same cells, whatever was drawn before, on any number of
threads. A conductance is never negative: each draw that would be is clamped at zero.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from snnstack.backends.crossbar.device_file import (
    decode_device,
    device_names,
    device_of,
    load_device,
)
from snnstack.backends.crossbar.device_types import (
    ClippedLine,
    Device,
    Forming,
    LogDrift,
    LogRead,
    NoDrift,
    NoReadNoise,
    PowerDrift,
    Relaxation,
)
from snnstack.errors import DataError, TargetError, fail

__all__ = [
    "Device", "Programmed", "StuckCells", "decode_device", "device_names", "device_of", "drift",
    "generator", "load_device", "program_cells", "programming_sigma", "quantise", "random_cells",
    "read_noise", "read_sigma", "stuck",
]  # fmt: skip

Cells: TypeAlias = npt.NDArray[np.float64]
Tile: TypeAlias = int | tuple[int, ...]
"""Which array of the chip: its number, or several numbers (core, tile, slice)."""

_MICRO = 1e-6


def generator(seed: int, purpose: str, tile: Tile = ()) -> np.random.Generator:
    """The random numbers of chip `seed` for one purpose on one tile, always from the start."""
    numbers = (tile,) if isinstance(tile, int) else tile
    if seed < 0 or any(number < 0 for number in numbers):
        what = f"seed {seed}, tile {tile}: expected no negative number"
        raise fail(DataError, "random numbers", what)
    key = (zlib.crc32(purpose.encode()), *numbers)
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(seed, spawn_key=key)))


def quantise(device: Device, g: npt.ArrayLike, levels: int | None = None) -> Cells:
    """`g` at the nearest of the device's levels, evenly spaced over its range; also clipped to it.

    `levels` overrides the device's own number; 0 only clips.
    """
    count = device.range.levels if levels is None else levels
    if count < 0 or count == 1:
        what = f"levels = {count}, expected 0 (any conductance) or at least 2"
        raise fail(DataError, f"device {device.name}", what)
    clipped = np.clip(_cells(device, g), device.low, device.high)
    if count == 0:
        return clipped
    step = (device.high - device.low) / (count - 1)
    return np.minimum(device.low + np.rint((clipped - device.low) / step) * step, device.high)


def programming_sigma(device: Device, g: npt.ArrayLike) -> Cells:
    """Spread about the target `g` after programming, in siemens.

    Raises `TargetError` for a device whose conductances are drawn, not programmed.
    """
    model = device.programming
    if isinstance(model, Forming):
        what = "its conductances are drawn by forming and cannot be programmed"
        raise fail(TargetError, f"device {device.name}", what, "use random_cells")
    return _polynomial(model.coefficients, _cells(device, g) / _MICRO / model.scale)


def _polynomial(coefficients: tuple[float, ...], x: Cells) -> Cells:
    """max(c0 + c1 x + c2 x^2 + ..., 0) uS, in siemens."""
    sigma = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        sigma = sigma * x + coefficient
    return np.maximum(sigma, 0.0) * _MICRO


@dataclass(frozen=True)
class Programmed:
    """Cells after programming.

    `g` in siemens. `pulses`: write pulses in all (typical number per write-verify); `low_j`,
    `typical_j`, `high_j`: their energy and that of the verify reads. `writes`: how often each
    cell was written; `failed`: cells still outside of the tolerance.
    """

    g: Cells
    pulses: float
    low_j: float
    typical_j: float
    high_j: float
    writes: npt.NDArray[np.int64]
    failed: int


def program_cells(
    device: Device,
    target: npt.ArrayLike,
    seed: int,
    tile: Tile = (),
    *,
    tolerance: float | None = None,
    rounds: int = 1,
) -> Programmed:
    """Cells programmed to `target` siemens: target + N(0, sigma(target)), clamped at zero.

    One write contains the device's own write-verify, whose outcome sigma describes. With a
    `tolerance` (siemens), cells further away are written again, up to `rounds` writes in all.
    """
    goal = _cells(device, target)
    sigma = programming_sigma(device, goal)
    if rounds < 1 or (tolerance is not None and not tolerance > 0):
        what = f"rounds = {rounds}, tolerance = {tolerance}: expected at least 1, and above 0"
        raise fail(DataError, f"device {device.name}", what)
    rng = generator(seed, "program", tile)
    g = np.maximum(goal + sigma * rng.standard_normal(goal.shape), 0.0)
    writes = np.ones(goal.shape, np.int64)
    wrong = np.zeros(goal.shape, bool)
    for number in range(rounds if tolerance is not None else 0):
        wrong = np.abs(g - goal) > tolerance
        if number + 1 == rounds or not wrong.any():
            break
        again = np.maximum(goal + sigma * rng.standard_normal(goal.shape), 0.0)
        g, writes = np.where(wrong, again, g), writes + wrong
    return _programmed(device, g, writes, int(wrong.sum()))


def _programmed(device: Device, g: Cells, writes: npt.NDArray[np.int64], failed: int) -> Programmed:
    write, count = device.write, int(writes.sum())
    low, typical, high = (
        count * getattr(write.pulses, edge)
        * (getattr(write.pulse_pj, edge) + getattr(write.verify_pj, edge)) * 1e-12
        for edge in ("low", "typical", "high")
    )  # fmt: skip
    return Programmed(g, count * write.pulses.typical, low, typical, high, writes, failed)


def random_cells(
    device: Device, shape: tuple[int, ...], seed: int, tile: Tile = (), *, volt: float | None = None
) -> Cells:
    """Conductances that forming at `volt` draws, in siemens, clamped at zero.

    A cell's strength is the same at every voltage: more volts form more cells of one chip, and
    the ones that were formed keep their conductance. Raises `TargetError` if the device is
    programmed instead.
    """
    model = device.programming
    if not isinstance(model, Forming):
        what = "is programmed to targets; it does not draw conductances"
        raise fail(TargetError, f"device {device.name}", what, "use program_cells")
    used = model.volt if volt is None else volt
    needed = model.v_mean + model.v_std * generator(seed, "forming", tile).standard_normal(shape)
    drawn = generator(seed, "formed", tile).standard_normal(shape) * model.formed_std
    formed = np.maximum(model.formed_mean + drawn, 0.0)
    return np.where(needed <= used, formed, model.unformed) * _MICRO


def drift(device: Device, g: npt.ArrayLike, t: float, seed: int, tile: Tile = ()) -> Cells:
    """Cells that were programmed to `g`, `t` seconds later, clamped at zero.

    One cell follows one path: the same seed at two times gives two points of it. Time 0 is
    `g` itself; later times below the model's first one count as that.
    """
    now, model = _cells(device, g), device.drift
    if not (math.isfinite(t) and t >= 0):
        raise fail(DataError, f"device {device.name}", f"t = {t} s, expected 0 or more")
    if t == 0 or isinstance(model, NoDrift):
        return np.maximum(now, 0.0)
    z = generator(seed, "drift", tile).standard_normal(now.shape)
    since = max(t, model.t0_s)
    if isinstance(model, LogDrift):
        mean = model.mean_slope * math.log(since)
        spread = model.std_slope * math.log(since) + model.std_offset
        return np.maximum(now + (mean + spread * z) * _MICRO, 0.0)
    if isinstance(model, Relaxation):
        return np.maximum(now + _relaxed(device, model, now, since) * z, 0.0)
    return np.maximum(now * (since / model.t0_s) ** -_exponent(device, model, now, z), 0.0)


def _exponent(device: Device, model: PowerDrift, g: Cells, z: Cells) -> Cells:
    """Drift exponent nu of each cell: normal about a mean that depends on its conductance."""
    with np.errstate(divide="ignore"):
        log_x = np.log(np.maximum(g, 0.0) / device.high)
    return _clipped(model.nu_mean, log_x) + _clipped(model.nu_std, log_x) * z


def _relaxed(device: Device, model: Relaxation, g: Cells, t: float) -> Cells:
    """What is added to the spread of programming until `t`: the root of the squares' growth."""
    first = programming_sigma(device, g)
    spreads = [first] + [_polynomial(m.coefficients, g / _MICRO / model.scale)
                         for m in model.moments]  # fmt: skip
    times = np.log([model.t0_s, *(m.t_s for m in model.moments)])
    at = float(np.interp(math.log(t), times, np.arange(len(times))))
    before, after = spreads[math.floor(at)], spreads[math.ceil(at)]
    now = before + (at - math.floor(at)) * (after - before)
    return np.asarray(np.sqrt(np.maximum(now**2 - first**2, 0.0)))


def _clipped(line: ClippedLine, x: Cells) -> Cells:
    return np.asarray(np.clip(line.slope * x + line.offset, line.low, line.high))


def read_sigma(device: Device, g: npt.ArrayLike, t: float) -> Cells:
    """Spread of one read of `g`, `t` seconds after programming, in siemens."""
    cells, model = np.maximum(_cells(device, g), 0.0), device.read
    if isinstance(model, NoReadNoise):
        return np.zeros_like(cells)
    span = (max(t, model.t_read_s) + model.t_read_s) / (2 * model.t_read_s)
    growth = math.sqrt(math.log(span))
    if isinstance(model, LogRead):
        logarithm: Cells = np.log(np.maximum(cells / _MICRO, 1.0))
        return np.asarray(model.factor * logarithm * growth * _MICRO)
    with np.errstate(divide="ignore"):
        relative = model.factor * (cells / _MICRO / model.scale) ** model.exponent
    return np.asarray(cells * np.minimum(relative, model.limit) * growth)


def read_noise(
    device: Device, g: npt.ArrayLike, t: float, seed: int, tile: Tile = (), *, read: int = 0
) -> Cells:
    """What read number `read` sees of `g`: g + N(0, sigma(g, t)), clamped at zero.

    Reads are independent of each other; the real noise of a cell is slower than that.
    """
    cells = _cells(device, g)
    numbers = (tile,) if isinstance(tile, int) else tile
    z = generator(seed, "read", (*numbers, read)).standard_normal(cells.shape)
    return np.maximum(cells + read_sigma(device, cells, t) * z, 0.0)


@dataclass(frozen=True)
class StuckCells:
    """Cells of one array that keep the lowest (`low`) or highest (`high`) conductance."""

    low: npt.NDArray[np.bool_]
    high: npt.NDArray[np.bool_]

    def apply(self, device: Device, g: npt.ArrayLike) -> Cells:
        """`g` with the stuck cells at the ends of the device's range."""
        cells = np.where(self.low, device.low, _cells(device, g))
        return np.where(self.high, device.high, cells)


def stuck(
    device: Device,
    shape: tuple[int, ...],
    seed: int,
    tile: Tile = (),
    *,
    low: float | None = None,
    high: float | None = None,
) -> StuckCells:
    """Which cells are stuck; `low` and `high` override the device's shares (0 to 1).

    A larger share keeps the cells that a smaller one had.
    """
    share_low = device.stuck.low if low is None else low
    share_high = device.stuck.high if high is None else high
    if min(share_low, share_high) < 0 or not share_low + share_high <= 1:
        what = f"stuck low {share_low}, high {share_high}: expected shares, together at most 1"
        raise fail(DataError, f"device {device.name}", what)
    u = generator(seed, "stuck", tile).random(shape)
    return StuckCells(u < share_low, u >= 1 - share_high)


def _cells(device: Device, g: npt.ArrayLike) -> Cells:
    cells = np.asarray(g, np.float64)
    if not np.isfinite(cells).all():
        raise fail(DataError, f"device {device.name}", "a conductance is not a finite number")
    return cells
