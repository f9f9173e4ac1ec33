"""A training that is killed and resumed ends with the same program, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import DataError
from snnstack.files import write_file
from snnstack.training.checkpoint import Checkpoint, State, content_digest
from tests.cli.calls import Refused, Run

EPOCHS = 6


def call(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    return [
        "train", str(model), "--board", "microbit-v1", "--weight-bits", "4", "--data", str(data),
        "--epochs", str(EPOCHS), "-o", str(out), *more,
    ]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def killed(command: list[str], checkpoint: Path) -> None:
    """Run it, and end it by SIGKILL once it has written a checkpoint."""
    main = "import sys; from snnstack.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", main, *command], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=dict(os.environ),
    )  # fmt: skip
    try:
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.needs_torch
@pytest.mark.needs_qemu
def test_killed_twice_and_resumed_is_an_undisturbed_training(
    run: Run,
    model: Path,
    data: Path,
    tmp_path: Path,
) -> None:
    whole, out = tmp_path / "a" / "small", tmp_path / "b" / "small"
    whole.parent.mkdir()
    out.parent.mkdir()
    assert run(*call(model, data, whole)).code == 0
    checkpoint = out.parent / "small.training.npz"
    killed(call(model, data, out), checkpoint)
    assert not out.exists() and checkpoint.exists()
    killed(call(model, data, out, "--resume"), checkpoint)
    if not out.exists():  # else it was faster than the signal
        shown = run(*call(model, data, out, "--resume"))
        assert shown.code == 0
        assert shown.err.startswith(f"going on from {checkpoint}")
    assert content(out) == content(whole)
    assert not list(whole.parent.glob("*training*")) and not checkpoint.exists()


@pytest.mark.needs_torch
def test_another_training_does_not_go_on(
    run: Run,
    refused: Refused,
    model: Path,
    data: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "small"
    checkpoint = tmp_path / "small.training.npz"
    killed(call(model, data, out), checkpoint)
    assert refused(*call(model, data, out)) == (
        "error: small.training.npz: holds a training that was interrupted (go on with --resume, "
        "or delete it)"
    )
    hint = "(start anew: delete it, or name another output)"
    np.savez(data, x=np.ones((5, 10, 3), np.uint8), y=np.arange(5) % 4)
    text = refused(*call(model, data, out, "--resume", "--rate", "0.5", "--seed", "3"))
    assert text.splitlines() == [
        "going on from small.training.npz",
        f"error: small.training.npz: model: is another {hint}",
        f"error: small.training.npz: samples: is another {hint}",
        f"error: small.training.npz: rate: is 0.5, it was 0.003 {hint}",
        f"error: small.training.npz: seed: is 3, it was 0 {hint}",
    ]


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    write_file(b"nothing", tmp_path / "c.npz")
    with pytest.raises(DataError, match=r"c\.npz: is no checkpoint of a training: "):
        Checkpoint(tmp_path / "c.npz", resume=True).read({})


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Checkpoint(tmp_path / "c.npz", resume=True)
    file.write(State(1, {"a": np.arange(3)}, {"r": 0.1}), {"k": 1})

    def broken(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("snnstack.files.os.replace", broken)
    with pytest.raises(Exception, match="No space left"):
        file.write(State(2, {"a": np.arange(3)}, {}), {"k": 1})
    state = file.read({"k": 1})
    assert state is not None and state.epoch == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


def test_the_digest_follows_content() -> None:
    one = content_digest(np.arange(3), {"a": 1.0, "b": (2, 3)})
    assert one == content_digest(np.arange(3), {"b": (2, 3), "a": 1.0})
    assert one != content_digest(np.arange(3.0), {"a": 1.0, "b": (2, 3)})
