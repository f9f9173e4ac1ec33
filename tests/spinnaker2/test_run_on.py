"""`snnstack run DIR --on spinnaker2`: compiled programs through py-spinnaker2's stand-in."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from snnstack.board import load_board
from snnstack.building import build_steps
from snnstack.cli import main
from snnstack.saving import save
from tests.conformance.networks import EXAMPLES, accepted, events, steps_of
from tests.conftest import ROOT

BOARD = load_board("spinnaker2-chip")


@pytest.mark.parametrize("example", ["recurrent", "conv"])
def test_a_compiled_program_equals_the_emulator_on_the_machine(
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Constants, relays, kernels and pools included."""
    double = Path(__file__).parent / "double"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(double), str(ROOT)]))
    graph = accepted(EXAMPLES[example](), BOARD)
    build = build_steps(graph, steps_of(graph), BOARD)
    save(build, tmp_path / "out")
    spikes = events(build.program.port, batch=2, steps=12)
    np.savez(tmp_path / "x.npz", x=np.minimum(spikes.dense(), 1))
    with pytest.raises(SystemExit) as stop:
        main(["run", str(tmp_path / "out"), "--on", "spinnaker2", "--address", "192.168.1.2",
              "--data", str(tmp_path / "x.npz")])  # fmt: skip
    shown = capsys.readouterr()
    assert stop.value.code == 0, shown
    assert "0 mismatches against SpiNNaker 2 single-chip test board at 192.168.1.2" in shown.out
