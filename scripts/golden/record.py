"""Runs of other tools, kept for the tests: the file a tool exports, the input, what the tool gave.

Each `scripts/golden/run_<tool>.py` runs in an environment that holds the tool and writes
`tests/frontends/written/<tool>.npz`; tests/frontends/test_written.py needs none of the tools.
"""

from __future__ import annotations

import copy
import json
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

PLACE = Path(__file__).parents[2] / "tests" / "frontends" / "written"


@dataclass
class Record:
    """Cases of one tool. `packages`: whose versions are kept beside them."""

    tool: str
    packages: tuple[str, ...]
    arrays: dict[str, Any] = field(default_factory=dict)
    cases: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, graph: Any, x: Any, out: Any, **said: Any) -> None:
        """One case: `x` [sample, step, *shape] and `out` [sample, step, *shape].

        `said`: options of `snnstack.load` that a user has to give, `claims` a part of the notes
        that `load` prints, `refused` a part of the message where no such network is computed.
        """
        x, out = np.asarray(x), np.asarray(out)
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{name}.nir"
            writer = _written(path, graph)
            self.arrays[f"{name}.nir"] = np.frombuffer(path.read_bytes(), np.uint8)
        spikes = bool(np.isin(out, (0, 1)).all() and out.any())
        self.arrays[f"{name}.x"] = x.astype(np.uint8)
        self.arrays[f"{name}.out"] = out.astype(np.uint8 if spikes else np.float32)
        self.cases[name] = {"spikes": int(out.sum()) if spikes else None, "writer": writer, **said}
        print(f"{self.tool} {name}: {self.cases[name]} of {out.size}")

    def save(self) -> None:
        """Write the cases with the versions of the packages that made them."""
        about = {"versions": {p: version(p) for p in self.packages}, "cases": self.cases}
        PLACE.mkdir(parents=True, exist_ok=True)
        text = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez_compressed(PLACE / f"{self.tool}.npz", about=text, **self.arrays)


def _written(path: Path, graph: Any) -> str:
    """Write the file; say who could: nir as it is, nir with its types inferred, or this script.

    Some releases of nir cannot write what the tools give them: single numbers, convolutions
    without the shape of a picture. Such graphs reach a user as objects, or in files of others.
    """
    for how in ("nir", "nir, types inferred"):
        try:
            made = copy.deepcopy(graph)
            if how != "nir":
                made.infer_types()
            nir.write(path, made)
            return how
        except Exception as error:
            print(f"    {how}: {type(error).__name__}: {str(error)[:90]}")
    with h5py.File(path, "w") as file:
        file["version"] = version("nir")
        _plain(file.create_group("node"), graph.to_dict())
    return "plain"


def _plain(group: Any, tree: Any) -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _plain(group.create_group(str(key)), value)
        elif key == "edges":
            group.create_dataset(key, data=np.array(value, dtype="S"))
        elif value is not None:
            group[key] = value if isinstance(value, str) else np.asarray(value)


def events(seed: int, *shape: int, share: float = 0.4) -> Any:
    """Random spikes of 0 and 1."""
    return (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)
