"""A trained ANN as layers that send changes: as the ANN, and as the same layers in full."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import verify_reference
from snnstack.cli import main
from snnstack.errors import DataError, SnnstackError
from snnstack.frontends.sigma_delta import SigmaDelta
from tests.onnx.ann_models import mlp

BOARD = "nucleo-l4r5zi"
RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network 12-20-16-4."""
    sizes = (12, 20, 16, 4)
    layers = [(RNG.normal(0, 0.5, (a, b)), RNG.normal(0, 0.2, b)) for a, b in pairwise(sizes)]
    return mlp(tmp_path_factory.mktemp("ann") / "net.onnx", layers)


def frames(samples: int = 6, steps: int = 15) -> Any:
    """Sequences of which a third of the elements move in a step, 0..255."""
    x = np.zeros((samples, steps, 12), dtype=np.int64)
    x[:, 0] = RNG.integers(0, 256, (samples, 12))
    for t in range(1, steps):
        moved = RNG.random((samples, 12)) < 0.3
        x[:, t] = np.where(moved, RNG.integers(0, 256, (samples, 12)), x[:, t - 1])
    return x


def converted(network: Path, threshold: float = 0) -> Any:
    images = RNG.random((64, 12)).astype(np.float32)
    return snnstack.convert(network, {"x": images}, sigma_delta=SigmaDelta(127, threshold))


def results(program: Any, x: Any) -> Any:
    """[sample, step, n] of the last layer."""
    name = program.outputs[0]
    return snnstack.emulate(program, {"x": x}, probes=[(name, "v")]).states[name, "v"]


def test_a_sequence_of_changes_gives_what_every_frame_gives_alone(network: Path) -> None:
    x = frames()
    program = snnstack.compile(converted(network), BOARD, {"x": frames(16)})
    alone = results(program, x.reshape(-1, 1, 12))
    np.testing.assert_array_equal(results(program, x).reshape(alone.shape), alone)


def test_what_hardly_moves_is_not_sent(network: Path) -> None:
    x = frames()

    def events(threshold: float) -> int:
        program = snnstack.compile(converted(network, threshold), BOARD, {"x": x})
        return sum(len(s.indices) for s in snnstack.emulate(program, {"x": x}).spikes.values())

    assert events(0) > 1.1 * events(4) > 1.1 * events(24)


@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [BOARD, "microbit-v1", "hifive1-revb"])
def test_firmware_is_equal(network: Path, board: str, tmp_path: Path) -> None:
    x = frames()
    built = snnstack.build(converted(network, 2), board, {"x": x})
    found = snnstack.verify(built.program, {"x": x})
    assert not found.differences and found.states_compared
    snnstack.save(built, tmp_path / "p")
    program, integers = snnstack.open_program(tmp_path / "p")
    np.testing.assert_array_equal(results(program, x), results(built.program, x))
    assert not verify_reference(program, integers, {"x": x}).differences


def test_the_command_shows_accuracy_and_events(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", x=RNG.random((40, 12)).astype(np.float32), y=np.arange(40) % 4)
    out = tmp_path / "net.nir"
    words = ["convert", str(network), "--calibrate", str(tmp_path / "x.npz"), "--to", "sigma-delta"]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--threshold", "0,8", "-o", str(out), "--json"])
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    first, second = found["points"]
    assert first["agreement"] > 0.95 and first["events"] > second["events"]
    assert snnstack.load(out).inputs()
    with pytest.raises(SystemExit) as stop:
        main([*words, "--threshold", "much"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("kind", "message"),
    [(SigmaDelta(0), "levels: is 0 (a whole number, 1 or more)"),
     (SigmaDelta(7, 7), "threshold: is 7 of 7 levels (a number from 0 to below the levels)"),
     (SigmaDelta(7, -1), "threshold: is -1 of 7 levels (a number from 0 to below the levels)")],
)  # fmt: skip
def test_numbers_that_no_layer_can_have(network: Path, kind: SigmaDelta, message: str) -> None:
    with pytest.raises(SnnstackError) as told:
        snnstack.convert(network, {"x": RNG.random((4, 12))}, sigma_delta=kind)
    assert str(told.value) == message


@pytest.mark.needs_lava
def test_generated_lava_processes_are_equal(network: Path) -> None:
    x = frames(3, 8)
    program = snnstack.compile(converted(network, 2), "oheo-gulch", {"x": x})
    found = snnstack.verify(program, {"x": x})
    assert not found.differences and found.states_compared and "Lava" in found.against


def test_a_sequence_gives_what_every_frame_gives_alone_on_a_chip_that_lags(network: Path) -> None:
    x = frames()
    program = snnstack.compile(converted(network), "oheo-gulch", {"x": frames(16)})
    lag = program.lag[program.outputs[0]]
    alone = results(program, x.reshape(-1, 1, 12))[:, lag]
    together = results(program, x)[:, lag : lag + x.shape[1]]
    np.testing.assert_array_equal(together.reshape(alone.shape), alone)


def test_what_was_said_of_steps_and_encoding_is_kept(network: Path, tmp_path: Path) -> None:
    images = {"x": RNG.random((20, 12)).astype(np.float32)}
    graph = snnstack.convert(network, images, steps=5, sigma_delta=SigmaDelta())
    assert graph.metadata["encoding"]["steps"] == 5
    np.savez(tmp_path / "x.npz", **images)
    with pytest.raises(DataError) as told:
        snnstack.convert(network, f"{tmp_path}/x.npz?encode=even&steps=4", sigma_delta=SigmaDelta())
    assert "asks for encode=even, layers that send changes take levels" in str(told.value)
    program = snnstack.compile(graph, BOARD, images)
    with pytest.raises(DataError) as told:
        snnstack.emulate(program, f"{tmp_path}/x.npz?encode=even&steps=4&max=1")
    assert "encode=even makes spikes, input 'x' takes whole numbers" in str(told.value)
    with pytest.raises(DataError) as told:
        snnstack.emulate(program, f"{tmp_path}/x.npz")
    assert "?encode=repeat&levels=255&steps=1" in str(told.value)


def test_limits_of_sums_are_said_and_no_rival_counts_values(network: Path) -> None:
    x = frames()
    built = snnstack.build(converted(network), BOARD, {"x": x // 20})
    assert built.network is not None
    lines = built.network.settings["cells"]["x.changes"]
    assert any("sums saturate at" in line for line in lines)
    (row,) = snnstack.bench(converted(network), [BOARD], {"x": x}, verify_samples=1, ann=True)
    assert row.ann is None and "takes whole numbers, not spikes" in str(row.notes)
