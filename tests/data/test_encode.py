"""Images and sensor windows become spikes: seeded, the same in batches of any size."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import DataError
from snnstack.frontends.encode import Encoding, encoded
from snnstack.frontends.open_data import open_data
from snnstack.ir.step import StepInput

PORT = StepInput("in", (4, 5), "count")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 4, 5), dtype=np.uint8)
    np.savez_compressed(tmp_path / "images.npz", x=x, y=np.arange(30) % 7)
    return tmp_path / "images.npz"


@pytest.mark.parametrize("kind", ["rate", "even", "latency", "repeat"])
def test_batches_of_any_size_give_the_same_spikes(images: Path, kind: str) -> None:
    stream = open_data(f"{images}?encode={kind}&steps=12&seed=5", PORT)
    whole = stream.read()
    for size in (1, 7, 30):
        parts = np.concatenate([p.spikes.dense() for p in stream.batches(size)])
        assert np.array_equal(parts, whole.spikes.dense())
    assert whole.labels is not None and whole.labels.tolist() == [k % 7 for k in range(30)]


def test_the_seed_decides_a_rate_code(images: Path) -> None:
    def spikes(query: str) -> Any:
        return open_data(f"{images}?encode=rate&steps=50&{query}", PORT).read().spikes.dense()

    assert np.array_equal(spikes("seed=1"), spikes("seed=1"))
    assert not np.array_equal(spikes("seed=1"), spikes("seed=2"))
    with np.load(images) as file:
        x = file["x"] / 255.0
    sigma = np.sqrt(0.25 / 50)
    assert np.all(np.abs(spikes("seed=1").mean(axis=1) - x) < 5 * sigma)
    assert np.abs(spikes("seed=1").mean() - x.mean()) < 0.01
    assert np.abs(spikes("seed=1&gain=0.5").mean() - 0.5 * x.mean()) < 0.01


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 16, 33])
def test_even_spikes_are_the_rounded_share_and_evenly_spread(steps: int) -> None:
    values = np.linspace(0, 1, 101)
    spikes = encoded(Encoding("even", steps), values[None], 0)[0]
    expected = np.floor(values * steps + 0.5 + 1e-9)
    assert np.array_equal(spikes.sum(axis=0), expected)
    assert spikes.max() == 1
    running = spikes.cumsum(axis=0)
    ideal = values * np.arange(1, steps + 1)[:, None]
    assert np.all(np.abs(running - ideal) <= 0.5 + 1e-6)


def test_latency_larger_is_earlier() -> None:
    spikes = encoded(Encoding("latency", 11), np.array([[0.0, 0.1, 0.5, 1.0]]), 0)[0]
    assert spikes.sum(axis=0).tolist() == [0, 1, 1, 1]
    assert spikes.argmax(axis=0).tolist() == [0, 9, 5, 0]
    later = encoded(Encoding("latency", 11, threshold=0.5), np.array([[0.1, 0.5]]), 0)[0]
    assert later.sum(axis=0).tolist() == [0, 1]


def test_repeat_is_a_constant_count() -> None:
    spikes = encoded(Encoding("repeat", 3, levels=15), np.array([[0.0, 0.5, 1.0]]), 0)[0]
    assert spikes.tolist() == [[0, 8, 15]] * 3


def test_delta_follows_the_signal() -> None:
    t = np.arange(200)
    window = np.stack([np.sin(t / 15), np.zeros(200), t / 200], axis=1)
    spikes = encoded(Encoding("delta", threshold=0.1), window[None], 0)[0].astype(int)
    assert spikes.shape == (200, 2, 3)
    rebuilt = window[0] + 0.1 * (spikes[:, 0] - spikes[:, 1]).cumsum(axis=0)
    assert np.all(np.abs(rebuilt - window) <= 0.1 + 1e-9)
    assert spikes[:, :, 1].sum() == 0
    assert spikes[:, 1, 2].sum() == 0


def test_delta_of_a_file(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(6, 40, 3)).cumsum(axis=1).astype(np.float32)
    np.savez(tmp_path / "w.npz", x=x, y=np.zeros(6, int))
    port = StepInput("in", (6,), "binary")
    stream = open_data(f"{tmp_path}/w.npz?encode=delta&threshold=0.5", port)
    assert (stream.steps, stream.read().spikes.steps) == (40, 40)
    assert stream.read().spikes.total > 100


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("encode=rate", "says no steps (steps=25 is the number of time steps)"),
        ("encode=morse&steps=2",
         "encode is 'morse' (one of: rate, even, latency, repeat, delta)"),
        ("encode=rate&steps=9&bin=1ms", "unknown option 'encode'"),
        ("encode=rate&steps=2&max=100",
         "x has 352 values outside 0..100, first 130 at [0, 0, 1] "
         "(min= and max= say the range of the values)"),
        ("encode=rate&steps=2&max=0", "max is 0, min is 0 (max is above min)"),
        ("encode=repeat&steps=2&levels=300", "levels is 300 (1..255)"),
        ("encode=delta", "says no threshold (threshold=0.1: a spike per change)"),
        ("steps=2", "unknown option 'steps' (no options are known here)"),
    ],
)  # fmt: skip
def test_options_that_are_wrong(images: Path, query: str, message: str) -> None:
    text = f"{images}?{query}"
    with pytest.raises(DataError) as error:
        open_data(text, PORT).read()
    if "bin" in query:
        assert str(error.value).startswith(f"{text}: {message} (options here: ")
    else:
        assert str(error.value) == f"{text}: {message}"


def test_mnist_files(tmp_path: Path) -> None:
    x = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    head = b"\0\0\x08\x03" + np.array([3, 4, 5], ">u4").tobytes()
    with gzip.open(tmp_path / "t-images-idx3-ubyte.gz", "wb") as file:
        file.write(head + x.tobytes())
    with gzip.open(tmp_path / "t-labels-idx1-ubyte.gz", "wb") as file:
        file.write(b"\0\0\x08\x01" + np.array([3], ">u4").tobytes() + bytes([7, 2, 1]))
    path = tmp_path / "t-images-idx3-ubyte.gz"
    data = open_data(f"{path}?encode=repeat&steps=1&levels=255", PORT).read()
    assert np.array_equal(data.spikes.dense()[:, 0], x)
    assert data.labels is not None and data.labels.tolist() == [7, 2, 1]


def test_a_large_npz_is_read_in_parts(tmp_path: Path) -> None:
    """200 MB of x, of which never more than a batch is in memory."""
    x = np.zeros((2000, 100, 1000), dtype=np.uint8)
    x[::7, 3, 5] = 1
    np.savez_compressed(tmp_path / "large.npz", x=x, y=np.arange(2000) % 5)
    port = StepInput("in", (1000,), "binary")
    del x
    tracemalloc.start()
    total = 0
    for part in open_data(tmp_path / "large.npz", port).batches(50):
        total += part.spikes.total
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == len(range(0, 2000, 7))
    assert peak < 60e6


def test_what_is_wrong_in_a_later_batch_is_named_by_its_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.zeros((20, 3, 4), dtype=np.uint8)
    x[13, 2, 1] = 9
    np.savez(tmp_path / "a.npz", x=x)
    monkeypatch.setattr("snnstack.frontends.open_data.IN_MEMORY", 10)
    stream = open_data(tmp_path / "a.npz", StepInput("in", (4,), "binary"))
    with pytest.raises(DataError) as error:
        list(stream.batches(5))
    assert "first 9 at [13, 2, 1]" in str(error.value)
