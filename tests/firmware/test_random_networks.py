"""Random networks, every weight width, on every core: emitted firmware equals the reference."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from snnstack.backends.mcu.run import run
from snnstack.board import load_board
from snnstack.compilers.mcu import compile
from snnstack.errors import CapacityError
from snnstack.quant.network import QuantizedNetwork
from snnstack.reference import run_quantized
from tests.conformance.test_mcu_emulator import assert_equal, events, networks, probes_of
from tests.firmware.test_firmware import BOARDS

QUICK = settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a build per example: never shrunk
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.slow
@pytest.mark.needs_qemu
@QUICK
@given(networks(np.int64), st.sampled_from(BOARDS), st.integers(0, 99))
def test_firmware_equals_the_integer_reference(
    network: QuantizedNetwork, board: str, seed: int
) -> None:
    spikes, probes = events(network, seed), probes_of(network)
    try:
        program = compile(network, load_board(board))
    except CapacityError:  # 16 KB of RAM
        assume(False)
    trace = run(program, spikes, probes=probes)
    expected = run_quantized(network, spikes, probes)
    assert_equal(replace(trace, counts=MappingProxyType({})), expected)
