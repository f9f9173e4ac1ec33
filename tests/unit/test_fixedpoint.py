"""Laws of integer arithmetic, against Python's exact numbers."""

from __future__ import annotations

from fractions import Fraction
from math import floor, trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnstack.fixedpoint import decay, round_half_up, saturate, wrap

values = st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=8)
bits = st.sampled_from([4, 12, 16])


def ints(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


@given(values, bits, st.data())
def test_decay_is_the_rounded_product(numbers: list[int], q: int, data: st.DataObject) -> None:
    factor = data.draw(st.integers(0, 2**q))
    exact = [Fraction(number * factor, 2**q) for number in numbers]
    factors = np.full(len(numbers), factor)
    down = decay(ints(numbers), factors, q, "floor")
    inward = decay(ints(numbers), factors, q, "toward_zero")
    assert down.tolist() == [floor(x) for x in exact]
    assert inward.tolist() == [trunc(x) for x in exact]


@given(values, bits)
def test_decay_by_one_keeps_and_by_zero_forgets(numbers: list[int], q: int) -> None:
    for rounding in ("floor", "toward_zero"):
        one, none = np.full(len(numbers), 2**q), np.zeros(len(numbers), dtype=np.int64)
        assert decay(ints(numbers), one, q, rounding).tolist() == numbers  # type: ignore[arg-type]
        assert not decay(ints(numbers), none, q, rounding).any()  # type: ignore[arg-type]


@given(values, st.integers(0, 2**16), bits)
def test_only_rounding_toward_zero_is_odd(numbers: list[int], factor: int, q: int) -> None:
    factors = np.full(len(numbers), min(factor, 2**q))
    there = decay(ints(numbers), factors, q, "toward_zero")
    back = decay(-ints(numbers), factors, q, "toward_zero")
    np.testing.assert_array_equal(there, -back)


def test_a_small_negative_value_survives_rounding_down() -> None:
    """Known: floor leaves -1 for ever, so a firmware's membrane rests at -1, not at 0."""
    value, factor = ints([-1]), ints([60000])
    assert decay(value, factor, 16, "floor").tolist() == [-1]
    assert decay(value, factor, 16, "toward_zero").tolist() == [0]


@given(values, st.integers(1, 2**31))
def test_saturation_is_a_symmetric_projection(numbers: list[int], limit: int) -> None:
    once = saturate(ints(numbers), limit)
    assert np.abs(once).max() <= limit
    np.testing.assert_array_equal(saturate(once, limit), once)
    np.testing.assert_array_equal(saturate(-ints(numbers), limit), -once)
    inside = np.abs(ints(numbers)) <= limit
    np.testing.assert_array_equal(once[inside], ints(numbers)[inside])


@given(values, st.integers(2, 32))
def test_wrap_is_congruent_and_in_range(numbers: list[int], width: int) -> None:
    wrapped = wrap(ints(numbers), width)
    assert (wrapped >= -(2 ** (width - 1))).all()
    assert (wrapped < 2 ** (width - 1)).all()
    assert not ((wrapped - ints(numbers)) % 2**width).any()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
@given(values)
def test_wrap_is_what_a_register_does(dtype: type, numbers: list[int]) -> None:
    width = np.dtype(dtype).itemsize * 8
    np.testing.assert_array_equal(wrap(ints(numbers), width), ints(numbers).astype(dtype))


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1))
def test_halves_round_up(halves: list[int]) -> None:
    rounded = round_half_up(np.array(halves) / 2)
    assert rounded.tolist() == [floor(Fraction(half, 2) + Fraction(1, 2)) for half in halves]
    assert rounded.dtype == np.int64
