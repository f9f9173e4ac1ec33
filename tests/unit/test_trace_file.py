"""A trace reaches its file batch by batch: the same arrays, flat memory, whole or not at all."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from snnstack.errors import TargetError
from snnstack.frontends.trace_file import trace_file
from snnstack.trace import Spikes, Trace, joined


def batch(seed: int, samples: int = 3, steps: int = 7, n: int = 5) -> Trace:
    random = np.random.default_rng(seed)
    spikes = (random.random((samples, steps, n)) < 0.3).astype(np.uint8)
    return Trace({"fc": Spikes.from_dense(spikes)}, {("fc", "v"): random.normal(size=spikes.shape)})


def test_what_events_carry_is_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    dense = random.integers(-3, 4, (5, 7, 4))
    sent = Spikes.carrying(dense)
    with trace_file(tmp_path / "t.npz") as keep:
        for part in (sent.samples(0, 2), sent.samples(2, 5)):
            keep(Trace({"fc": part}))
    with np.load(tmp_path / "t.npz", allow_pickle=False) as found:
        assert np.array_equal(found["fc/values"], sent.values)
        assert np.array_equal(found["fc/indices"], sent.indices)


def test_batches_are_written_as_one_trace(tmp_path: Path) -> None:
    parts = [batch(1), batch(2, samples=1), batch(3, samples=4)]
    with trace_file(tmp_path / "new" / "t.npz") as keep:
        for part in parts:
            keep(part)
    whole = joined(parts)
    with np.load(tmp_path / "new" / "t.npz", allow_pickle=False) as found:
        assert sorted(found.files) == ["fc/indices", "fc/indptr", "fc/shape", "fc/v"]
        assert found["fc/shape"].tolist() == [8, 7, 5]
        for name, wanted in (
            ("fc/indptr", whole.spikes["fc"].indptr),
            ("fc/indices", whole.spikes["fc"].indices),
            ("fc/v", whole.states["fc", "v"]),
        ):
            assert found[name].dtype == wanted.dtype
            assert np.array_equal(found[name], wanted)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["t.npz"]


def test_no_spike_at_all(tmp_path: Path) -> None:
    silent = Trace({"fc": Spikes.from_dense(np.zeros((2, 3, 5), np.uint8))})
    with trace_file(tmp_path / "t.npz") as keep:
        keep(silent)
        keep(silent)
    with np.load(tmp_path / "t.npz") as found:
        assert found["fc/indptr"].tolist() == [0] * 13
        assert found["fc/indices"].shape == (0,)


def test_a_failed_run_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), trace_file(path) as keep:
        keep(batch(1))
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["t.npz"]


def test_a_directory_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as error, trace_file(tmp_path):
        raise AssertionError
    assert str(error.value) == f"{tmp_path}: cannot be written: Is a directory"


def test_memory_does_not_grow_with_the_batches(tmp_path: Path) -> None:
    peaks = []
    for count in (2, 40):
        tracemalloc.start()
        with trace_file(tmp_path / "t.npz") as keep:
            for k in range(count):
                keep(batch(k, samples=20, steps=100, n=50))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    few, many = peaks
    assert many < 1.2 * few
