"""Saved programs of every target, each of their files, and networks of simple targets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import snnstack
from tests.fuzz import sources
from tests.fuzz.damage import Rng
from tests.fuzz.kind import BYTES, JSON, NPZ, TARGETS, TEXT, Kind


def _program(folder: Path, rng: Rng) -> Any:
    from snnstack.program import digest
    from snnstack.saving import saved_conversion
    from snnstack.target import backend

    place = folder / "program"
    if rng.random() < 0.8:  # else the digests of the manifest say what was changed
        manifest = place / "manifest.json"
        try:
            tree = json.loads(manifest.read_bytes())
            tree["files"] = {n: digest({n: (place / n).read_bytes()}) for n in tree["files"]}
            manifest.write_text(json.dumps(tree))
        except (ValueError, KeyError, TypeError, OSError, AttributeError, RecursionError):
            pass
    found, _ = snnstack.open_program(place)
    saved_conversion(place)
    backend(found.target).utilization(found)
    x = sources.X if found.port.shape == (3,) else np.ones((2, 3, *found.port.shape), np.uint8)
    snnstack.emulate(found, x[:1])
    return backend(found.target).emit(found)


def _simple(folder: Path, rng: Rng) -> Any:
    from snnstack.reference import run_quantized
    from snnstack.simple import load
    from snnstack.trace import Spikes

    found = load({file.name: file.read_bytes() for file in folder.iterdir()})
    return run_quantized(found.network, Spikes.from_dense(sources.X[:1]))


DAMAGE = {"program": ("*.json", (BYTES, TEXT, JSON, JSON)), "arrays": ("*.npz", (BYTES, NPZ, NPZ))}
KINDS: Mapping[str, Kind] = {
    **{
        f"{what} {target}": Kind(
            (sources.program(board), sources.program(board, sources.conv())),
            pattern,
            damage,
            _program,
        )
        for what, (pattern, damage) in DAMAGE.items()
        for target, board in TARGETS.items()
    },
    **{
        f"{what} of own neurons": Kind(
            (sources.program("oheo-gulch", sources.own_neurons()),), pattern, damage, _program
        )
        for what, (pattern, damage) in DAMAGE.items()
    },
    "program simple": Kind((sources.simple,), "program.json", (BYTES, JSON), _simple),
    "arrays simple": Kind((sources.simple,), "program.npz", (BYTES, NPZ, NPZ), _simple),
}
