"""What people write down: boards, devices, sweeps, journals, rows, weights, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import snnstack
from tests.fuzz import sources
from tests.fuzz.damage import Rng
from tests.fuzz.kind import BYTES, JSON, NPZ, TEXT, Kind


def _board(folder: Path, rng: Rng) -> Any:
    from snnstack.board import load_board

    found = load_board(next(folder.glob("n*.toml")))
    return snnstack.compile(_graph(), found)


@cache
def _graph() -> Any:
    return snnstack.load(sources.small())


def _device(folder: Path, rng: Rng) -> Any:
    from snnstack.backends.crossbar.device_file import load_device

    names = [f for f in sorted(folder.glob("*.toml")) if f.name != "neurram.toml"]
    return load_device(str(names[0]))


def _sweep(folder: Path, rng: Rng) -> Any:
    from snnstack.sweep.run import _job
    from snnstack.sweep.spec import read_spec

    spec = read_spec(folder / "s.toml")
    _job(spec)
    return [point for point, _ in zip(spec.points(), range(20), strict=False)]


def _journal(folder: Path, rng: Rng) -> Any:
    from snnstack.sweep.journal import opened

    with opened(folder) as journal:
        return dict(journal.done)


def _rows(folder: Path, rng: Rng) -> Any:
    from snnstack.report.document import read_rows
    from snnstack.report.page import render

    return render(read_rows(folder / "rows.json"), None)


def _opponent(folder: Path, rng: Rng) -> Any:
    from snnstack.frontends.opponent_file import read_weights

    return read_weights(folder / "a.npz", _net())


@cache
def _net() -> Any:
    return sources.opponent_net()


def _checkpoint(folder: Path, rng: Rng) -> Any:
    from snnstack.training.checkpoint import Checkpoint

    return Checkpoint(folder / "a.npz", resume=True).read(sources.CONFIG)


KINDS: Mapping[str, Kind] = {
    "board": Kind((sources.board, sources.crossbar_board), "n*.toml", (BYTES, TEXT, TEXT), _board),
    "device": Kind((sources.device,), "[!n]*.toml", (BYTES, TEXT, TEXT), _device),
    "sweep": Kind((sources.sweep,), "s.toml", (BYTES, TEXT, TEXT), _sweep),
    "journal": Kind((sources.journal,), "points.jsonl", (BYTES, TEXT), _journal),
    "rows": Kind((sources.rows,), "rows.json", (BYTES, TEXT, JSON, JSON), _rows),
    "opponent": Kind((sources.opponent,), "a.npz", (BYTES, NPZ, NPZ), _opponent),
    "checkpoint": Kind((sources.checkpoint,), "a.npz", (BYTES, NPZ), _checkpoint),
}
