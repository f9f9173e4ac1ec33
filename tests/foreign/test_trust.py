"""`trust=` of every public function that reads files."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack import api
from snnstack.frontends.nir import write
from tests.cli.calls import small

READS = ("Samples", "Model", "model: str | Path")
OTHERWISE = {"load_board", "open_program", "save", "write_nir", "trusting", "trained", "encode"}
"""They read TOML and JSON, parsed by Python, and .npz by our own reader; or nothing."""


def public() -> dict[str, Any]:
    found = {name: getattr(snnstack, name) for name in snnstack.__all__}
    found |= {name: getattr(api, name) for name in api.__all__}
    return {n: f for n, f in found.items() if inspect.isfunction(f)}


def test_every_function_that_reads_files_can_be_told_to_trust_them() -> None:
    reading = {
        name
        for name, function in public().items()
        if any(word in str(p) for p in inspect.signature(function).parameters.values()
               for word in READS)
    }  # fmt: skip
    assert {"build", "emulate_batches", "qat", "fit", "verify_reference"} <= reading
    without = {
        name for name in reading if "trust" not in inspect.signature(public()[name]).parameters
    }
    assert without <= OTHERWISE, without


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(small(), tmp_path / "m.nir")
    x = np.random.default_rng(0).random((3, 5, 3)) < 0.5
    np.savez(tmp_path / "d.npz", x=x.astype(np.uint8))
    return tmp_path


def test_a_trusted_model_is_read_in_this_process(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("asked the process that reads foreign files")

    monkeypatch.setattr("snnstack.foreign.reader.ask", refuse)
    built = snnstack.build(files / "m.nir", "microbit-v1", trust=True)
    with pytest.raises(AssertionError, match="asked the process"):
        snnstack.build(files / "m.nir", "microbit-v1")
    batches = snnstack.emulate_batches(built.program, files / "d.npz", trust=True)
    assert sum(trace.spikes["lif"].batch for _, trace in batches) == 3


def test_batches_are_opened_when_they_are_asked_for(files: Path) -> None:
    program = snnstack.compile(files / "m.nir", "microbit-v1")
    with pytest.raises(snnstack.SnnstackError, match="there is no such file"):
        snnstack.emulate_batches(program, files / "gone.npz")
