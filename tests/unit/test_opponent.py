"""The network without spikes: its shape, its frames, its integers, its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from snnstack.errors import DataError, TargetError
from snnstack.frontends.opponent_file import read_weights, weights_file
from snnstack.ir.step import Conv, Dense, Pool, Projection
from snnstack.quant.opponent import frames, opponent_of
from snnstack.quant.opponent_int8 import Int8Opponent, run_real, scaled
from snnstack.trace import Spikes
from tests.unit import opponents


def test_a_chain_keeps_its_widths() -> None:
    net = opponent_of(opponents.chain(5, 4, 3))
    assert (str(net), net.windows, net.left_out) == ("5-4-3", 1, ())
    assert [layer.synapses.weight.shape for layer in net.layers] == [(4, 5), (3, 4)]


def test_loops_and_delays_are_left_out_and_time_is_in_the_windows() -> None:
    looped = opponents.chain(5, 4, 3, delay=2)
    own = Projection("a", "a", Dense(np.zeros((4, 4))), delay=1)
    looped = looped.with_(projections=(*looped.projections, own))
    net = opponent_of(looped)
    assert (str(net), net.windows) == ("40-4-3", 8)
    assert net.left_out == ("the synapses of a to itself", "the delays before a")
    assert str(opponent_of(looped, windows=2)) == "10-4-3"


def test_a_network_that_is_no_chain_is_refused_with_all_reasons() -> None:
    net = opponents.chain(5, 4, 3)
    skip = Projection("in", "b", Dense(np.zeros((3, 5))))
    with pytest.raises(TargetError) as error:
        opponent_of(net.with_(projections=(*net.projections, skip), outputs=("a",)))
    hint = "(only chains of layers have an opponent of the same shape)"
    assert str(error.value).splitlines() == [
        f"b: reads a, in, not a alone {hint}",
        f"a: is not the last population {hint}",
    ]


def test_groups_take_one_window() -> None:
    with pytest.raises(TargetError, match=r"a: has 2 groups, and frames of 3 windows"):
        opponent_of(opponents.maps(), windows=3)


def test_frames_count_events_by_window() -> None:
    dense = np.zeros((2, 5, 3), np.uint8)
    dense[0, 0, 1] = dense[0, 1, 1] = 1
    dense[0, 4, 2], dense[1, 2, 0] = 3, 1
    found = frames(Spikes.from_dense(dense), 2)
    # of five steps, three belong to the first of two windows
    assert found.tolist() == [[0, 2, 0, 0, 0, 3], [1, 0, 0, 0, 0, 0]]
    assert frames(Spikes.from_dense(dense), 1).tolist() == [[0, 2, 3], [1, 0, 0]]


def definition(net: Int8Opponent, given: NDArray[Any]) -> list[int]:
    """One sample, number by number."""
    values = given.astype(int)
    for layer, shift in zip(net.net.layers, net.shifts, strict=True):
        if layer.pool is not None:
            values = _pooled(layer.pool, values)
        shape, bias = layer.synapses, layer.bias.astype(int)
        totals = (
            _convolved(shape, values, bias)
            if isinstance(shape, Conv)
            else np.array([int(w.astype(int) @ values) + b for w, b in zip(shape.weight, bias)])  # noqa: B905
        )
        least = -128 if layer is net.net.layers[-1] else 0
        rounded = [(int(t) + (1 << shift >> 1)) >> shift for t in totals]
        values = np.array([min(127, max(least, r)) for r in rounded])
    return values.tolist()


def _convolved(c: Conv, values: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    image, found = values.reshape(c.in_shape), np.zeros(c.out_shape, int)
    per_in, per_out = c.in_shape[0] // c.groups, c.out_shape[0] // c.groups
    for o, oy, ox in np.ndindex(*c.out_shape):
        found[o, oy, ox] = bias[o]
        for i, ky, kx in np.ndindex(*c.weight.shape[1:]):
            y = oy * c.stride[0] - c.padding[0] + ky * c.dilation[0]
            x = ox * c.stride[1] - c.padding[1] + kx * c.dilation[1]
            if 0 <= y < c.in_shape[1] and 0 <= x < c.in_shape[2]:
                found[o, oy, ox] += (
                    int(c.weight[o, i, ky, kx]) * image[o // per_out * per_in + i, y, x]
                )
    return found.ravel()


def _pooled(p: Pool, values: NDArray[Any]) -> NDArray[Any]:
    image, found = values.reshape(p.in_shape), np.zeros(p.out_shape, int)
    for c, oy, ox in np.ndindex(*p.out_shape):
        y, x = oy * p.stride[0], ox * p.stride[1]
        total = int(image[c, y : y + p.kernel[0], x : x + p.kernel[1]].sum())
        found[c, oy, ox] = (total * round(65536 / (p.kernel[0] * p.kernel[1])) + 32768) >> 16
    return found.ravel()


@pytest.mark.parametrize("network", [opponents.chain(30, 12, 7), opponents.maps()])
def test_the_integers_are_those_of_the_definition(network: Any) -> None:
    net, given = opponents.int8(network)
    found = net.run(net.given(given))
    for k in range(3):
        assert found[k].tolist() == definition(net, net.given(given)[k])


@pytest.mark.parametrize("network", [opponents.chain(30, 12, 7), opponents.maps()])
def test_rounding_keeps_most_of_a_random_network(network: Any) -> None:
    real = opponents.random(network)
    net, given = opponents.int8(network)
    exact = run_real(real, scaled(given, 29))
    found = net.run(net.given(given)).astype(float)
    by = (found * exact).sum() / (found * found).sum()
    assert np.abs(found * by - exact).mean() < 0.03 * np.abs(exact).max()


def test_counts_above_int8_lose_bits_not_range() -> None:
    real = opponents.random(opponents.chain(6, 4))
    from snnstack.quant.opponent_int8 import quantise_opponent

    given = np.random.default_rng(0).integers(0, 1000, (50, 6))
    net = quantise_opponent(real, given, int(given.max()))
    assert net.right == 3 and net.given(given).max() == given.max() >> 3
    assert scaled(given, int(given.max())).max() == 1.0


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    real = opponents.random(opponents.maps())
    (tmp_path / "w.npz").write_bytes(weights_file(real, 17, "trained on nothing"))
    found, largest, about = read_weights(tmp_path / "w.npz", opponent_of(opponents.maps()))
    assert (largest, about) == (17, "trained on nothing")
    for a, b in zip(found.layers, real.layers, strict=True):
        np.testing.assert_allclose(a.synapses.weight, b.synapses.weight, rtol=1e-6)
        np.testing.assert_allclose(a.bias, b.bias, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file (give an .npz with w1, b1, w2, b2, ... and largest)"),
        (b"no zip", "is not an .npz file of numbers (give an .npz with w1, b1, w2, b2, ... and "
         "largest)"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_weights(tmp_path / "w.npz", opponent_of(opponents.chain(5, 3)))
    assert str(error.value) == f"{tmp_path}/w.npz: {message}"


def test_weights_of_another_shape_are_refused_with_all_reasons(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, w1=np.zeros((3, 4)), b1=np.full(3, np.nan), largest=0)
    with pytest.raises(DataError) as error:
        read_weights(path, opponent_of(opponents.chain(5, 3)))
    assert str(error.value).splitlines() == [
        f"{path}: largest holds numbers out of range (weights are finite, largest is at least 1)",
        f"{path}: w1 has shape [3, 4], a network of the same shape [3, 5] (its widths are 5-3)",
        f"{path}: b1 holds numbers out of range (weights are finite, largest is at least 1)",
    ]
