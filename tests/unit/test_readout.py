"""readout: classes, agreement, and traces of chips that run behind their input."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snnstack.report.readout import accuracy, aligned, classes, spike_agreement
from snnstack.trace import Spikes, Trace


def spikes(dense: np.ndarray) -> Spikes:
    return Spikes.from_dense(dense.astype(np.uint8))


@given(st.integers(0, 3), st.integers(0, 6), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_a_window_is_what_slicing_the_dense_array_gives(
    batch: int, start: int, steps: int, seed: int
) -> None:
    dense = np.random.default_rng(seed).integers(0, 3, (batch, 7, 2, 2)).astype(np.uint8)
    expected = np.zeros((batch, steps, 2, 2), dtype=np.uint8)
    part = dense[:, start : start + steps]
    expected[:, : part.shape[1]] = part
    np.testing.assert_array_equal(spikes(dense).window(start, steps).dense(), expected)


def test_a_trace_that_lags_is_put_on_the_input_s_clock() -> None:
    late = np.zeros((1, 5, 2))
    late[0, 2:, 1] = 1
    v = np.arange(5.0).reshape(1, 5, 1)
    trace = Trace({"a": spikes(late)}, {("b", "v"): v}, lag={"a": 2, "b": 1})

    found = aligned(trace, 3)

    assert found.spikes["a"].dense().tolist() == [[[0, 1], [0, 1], [0, 1]]]
    assert found.states["b", "v"][0, :, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_trace_without_lag_is_returned_as_it_is() -> None:
    trace = Trace({})
    assert aligned(trace, 3) is trace


def test_the_class_has_most_spikes_and_the_first_of_equals_wins() -> None:
    dense = np.array([[[1, 0, 1], [0, 0, 1]], [[0, 1, 1], [0, 0, 0]]])
    found = classes(Trace({"out": spikes(dense)}), ("out",))
    assert found.tolist() == [2, 1]
    assert accuracy(found, np.array([2, 2])) == 0.5


def test_an_output_that_does_not_fire_is_read_by_its_summed_membrane() -> None:
    v = np.array([[[1.0, 3.0], [4.0, 1.0]]])
    assert classes(Trace({}, {("out", "v"): v}), ("out",)).tolist() == [0]


def test_agreement_is_the_share_of_equal_slots() -> None:
    left, right = np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
    left[0, 0, 0] = 1
    both = (Trace({"a": spikes(left)}), Trace({"a": spikes(right)}))
    assert spike_agreement(*both, ["a"]) == 0.75
