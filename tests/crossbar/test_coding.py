"""Weights as cells and back: whatever way they are written, the sums are those of the integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.backends.crossbar.coding import Coding, cells, channels, combined, summed
from snnstack.backends.crossbar.ranges import converted, fitted, lossless, units

codings = st.builds(
    Coding,
    st.sampled_from(["differential", "offset"]),
    st.sampled_from(["analogue", "digital"]),
    st.sampled_from([1, 7, 127, 255]),
    st.integers(1, 8),
)


def weights(code: Coding, rows: int, outputs: int, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    found = random.integers(-code.weight_max, code.weight_max + 1, (rows, outputs))
    found[0, 0], found[-1, -1] = code.weight_max, -code.weight_max
    return found


@settings(max_examples=60)
@given(codings, st.integers(1, 9), st.integers(1, 6), st.integers(0, 99))
def test_summed_channels_are_the_integer_product(
    code: Coding, rows: int, outputs: int, seed: int
) -> None:
    weight = weights(code, rows, outputs, seed)
    levels = cells(code, weight)
    found = channels(code, outputs)
    assert levels.shape == (rows, code.columns(outputs))
    assert levels.max() < code.levels
    x = np.random.default_rng(seed).integers(0, 4, (5, rows))
    lowest = 0.37  # of a level: the lowest conductance must not matter
    currents = combined(x @ (levels + lowest), found)
    codes = np.floor(currents + 0.5).astype(np.int64)
    np.testing.assert_array_equal(summed(codes, found, outputs), x @ weight)


@given(codings, st.integers(1, 300))
def test_as_many_outputs_are_taken_as_fit(code: Coding, columns: int) -> None:
    outputs = code.outputs(columns)
    if outputs >= 1:
        assert code.columns(outputs) <= columns
    assert code.columns(max(outputs, 0) + 1) > columns


@settings(max_examples=40)
@given(codings, st.integers(1, 9), st.integers(1, 4), st.integers(1, 7))
def test_a_converter_without_loss_reads_every_integer(
    code: Coding, rows: int, outputs: int, most: int
) -> None:
    levels = cells(code, weights(code, rows, outputs))
    converter = lossless(levels, code, outputs, most)
    x = np.random.default_rng(most).integers(0, most + 1, (20, rows))
    currents = x @ units(levels, code, outputs)
    which = channels(code, outputs).slice
    np.testing.assert_array_equal(converted(converter, which, currents), np.rint(currents))


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_a_fitted_converter_is_within_half_a_code_and_knows_zero(bits: int) -> None:
    code = Coding("differential", "analogue", 127, 7)
    random = np.random.default_rng(bits)
    currents = random.normal(20, 150, (500, 4)).round()
    converter = fitted(currents, code, 4, bits)
    which = channels(code, 4).slice
    values = converted(converter, which, currents)
    gain, lowest = int(converter.gain[0]), int(converter.lowest[0])
    highest = lowest + (((2**bits - 1) * gain + 128) >> 8)
    inside = (currents >= lowest) & (currents <= highest)
    assert np.abs(values - currents)[inside].max() <= gain / 512 + 1
    assert converted(converter, which[:1], np.zeros((1, 1)))[0, 0] == 0
    assert values.min() >= lowest
    assert values.max() <= highest


def test_finer_converters_make_smaller_errors() -> None:
    code = Coding("differential", "analogue", 127, 7)
    currents = np.random.default_rng(0).normal(0, 300, (2000, 3))
    which = channels(code, 3).slice
    errors = [
        float(
            np.mean((converted(fitted(currents, code, 3, bits), which, currents) - currents) ** 2)
        )
        for bits in range(2, 11)
    ]
    assert errors == sorted(errors, reverse=True)
