"""What is emitted for py-spinnaker2, executed on a stand-in of that package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from snnstack.backends.spinnaker2.hardware import run_on
from snnstack.backends.spinnaker2.network import ChipInput, ChipNetwork, ChipPopulation, Connection
from snnstack.backends.spinnaker2.reference import run_chip
from snnstack.backends.spinnaker2.sdk import sdk_files
from snnstack.errors import DataError, TargetError, ToolError
from snnstack.ir.step import Conv, Dense, Pool
from snnstack.target import Way
from snnstack.trace import Spikes
from tests.conftest import ROOT
from tests.spinnaker2.handmade import program
from tests.spinnaker2.test_firmware import PLANE, convolutions, events, networks

DOUBLE = Path(__file__).parent / "double"
EMITTED = settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a process each: too slow to shrink
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(DOUBLE), str(ROOT)]))
    yield


def check(network: ChipNetwork, spikes: Spikes) -> None:
    found = run_on(program(network), spikes, "spinnaker2", Way("192.168.1.48"))
    expected = run_chip(network, spikes)
    assert set(found.spikes) == set(expected.spikes)
    for name, fired in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name].dense(), fired.dense(), err_msg=name)


@pytest.mark.usefixtures("double")
@settings(EMITTED, max_examples=5)
@given(networks(), st.integers(0, 99))
def test_the_emitted_program_equals_the_definition(network: ChipNetwork, seed: int) -> None:
    check(network, events(seed, PLANE))


def planes(conv: Conv, pool: Pool | None = None) -> ChipNetwork:
    n = int(np.prod(conv.out_shape))
    full = [np.full(n, value, np.float32) for value in (0.9, 0.25, 60, 0)]
    p = ChipPopulation("p", conv.out_shape, "lif_conv2d", *full, reset="subtract")
    shape = conv.in_shape if pool is None else pool.in_shape
    return ChipNetwork(ChipInput("x", shape), (p,), (Connection("x", "p", conv, 0, pool),), ("p",))


@pytest.mark.usefixtures("double")
@settings(EMITTED, max_examples=4)
@given(convolutions(), st.integers(0, 99))
def test_emitted_convolutions_equal_the_definition(conv: Conv, seed: int) -> None:
    check(planes(conv), events(seed, PLANE))


def test_a_plain_convolution_is_a_kernel_and_a_pooled_one_a_list(double: None) -> None:
    rng = np.random.default_rng(0)
    conv = Conv(rng.integers(-127, 128, (4, 2, 3, 2)), PLANE, (4, 6, 6), (1, 1), (1, 1), (1, 1), 1)
    text = sdk_files(program(planes(conv)))["py_spinnaker2/network.py"].decode()
    assert "snn.Conv2DProjection(stimulus, population_0" in text
    check(planes(conv), events(1, PLANE))
    pool = Pool((2, 12, 10), PLANE, (3, 2), (2, 2), (1, 0))
    text = sdk_files(program(planes(conv, pool)))["py_spinnaker2/network.py"].decode()
    assert "Conv2DProjection" not in text and '"lif_no_delay"' in text
    check(planes(conv, pool), events(2, pool.in_shape))


def test_the_emitted_program_is_reproducible() -> None:
    network = small()
    assert sdk_files(program(network)) == sdk_files(program(network))


def small() -> ChipNetwork:
    full = [np.full(2, value, np.float32) for value in (1, 0, 3, 0)]
    p = ChipPopulation("p", (2,), "lif_no_delay", *full)
    weights = Dense(np.array([[1, 2, 3], [0, 0, 5]]))
    return ChipNetwork(ChipInput("x", (3,)), (p,), (Connection("x", "p", weights),), ("p",))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            ("loihi1", Way("10.0.0.1")),
            TargetError,
            "board loihi1: the program was compiled for spinnaker2-chip"
            " (compile the model again with --board loihi1)",
        ),
        (
            ("spinnaker2", Way()),
            TargetError,
            "spinnaker2: no address of a machine (name the board's Ethernet address: --address IP)",
        ),
        (
            ("spinnaker2", Way("10.0.0.1")),
            ToolError,
            "py-spinnaker2: not found (it is not on PyPI: see spinnaker2.gitlab.io/py-spinnaker2)",
        ),
    ],
)
def test_what_is_missing_is_said(
    options: tuple[str, Way], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(error) as caught:
        run_on(program(small()), events(0, (3,)), *options)
    assert str(caught.value) == message


def test_counts_are_refused(double: None) -> None:
    spikes = Spikes.from_dense(np.full((1, 2, 3), 2, np.uint8))
    with pytest.raises(DataError, match="x: an element has 2 spikes in a step, py-spinnaker2"):
        run_on(program(small()), spikes, "spinnaker2", Way("10.0.0.1"))


def test_the_packages_own_error_is_shown(double: None) -> None:
    with pytest.raises(ToolError, match="'nowhere' does not appear to be an IPv4 or IPv6"):
        run_on(program(small()), events(0, (3,)), "spinnaker2", Way("nowhere"))
