"""readout: classes, agreement, and traces of chips that run behind their input."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnstack.errors import ModelError
from snnstack.report.readout import (
    accuracy,
    aligned,
    check_readout,
    classes,
    parse,
    scores,
    spike_agreement,
)
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


def test_blocks_of_neurons_stand_for_a_class() -> None:
    """Population code: blocks in order, as snntorch.functional and SpikingJelly's VotingLayer."""
    dense = np.array([[[0, 0, 1, 1, 1, 0], [1, 0, 1, 0, 0, 0], [1, 0, 0, 1, 0, 0]]])
    trace = Trace({"out": spikes(dense)})
    assert scores(trace, "out", parse("rate:3")).tolist() == [[2.0, 4.0, 1.0]]
    assert classes(trace, ("out",), parse("rate:2")).tolist() == [0]


def test_the_first_spike_decides_and_neurons_that_never_fire_come_last() -> None:
    dense = np.array([[[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]]])
    found = scores(Trace({"out": spikes(dense)}), "out", parse("first-spike"))
    assert found.tolist() == [[-2.0, -1.0, -4.0]]


def test_membranes_are_read_over_time_and_in_volts() -> None:
    v = np.array([[[4.0, 10.0], [0.0, 10.0], [2.0, 0.0]]])
    trace = Trace({"out": spikes(np.zeros((1, 3, 2)))}, {("out", "v"): v})

    def of(text: str) -> list[list[float]]:
        readout = replace(parse(text), scale=np.array([1.0, 10.0]))
        return scores(trace, "out", readout).tolist()

    assert of("sum") == [[6.0, 2.0]]
    assert of("mean") == [[2.0, pytest.approx(2 / 3)]]
    assert of("last") == [[2.0, 0.0]]
    assert of("max") == [[4.0, 1.0]]
    first = 1 / (1 + np.exp([-3.0, 1.0, -2.0]))  # of two, softmax is the logistic function
    assert of("softmax") == [[pytest.approx(first.sum()), pytest.approx(3 - first.sum())]]


def test_one_neuron_is_class_one_above_a_count() -> None:
    dense = np.array([[[1], [1], [0]], [[1], [0], [0]]])
    found = classes(Trace({"out": spikes(dense)}), ("out",), parse("above:1.5"))
    assert found.tolist() == [1, 0]


@pytest.mark.parametrize("text", ["", "rate:0", "rate:-1", "rate:1.5", "above", "above:nan", "x:3"])
def test_other_texts_are_refused_by_what_there_is(text: str) -> None:
    with pytest.raises(ModelError, match=r"readout: there is no read-out .*first-spike"):
        parse(text)
    with pytest.raises(ModelError, match="readout: is "):
        parse(3)


def test_what_an_output_cannot_be_read_by_is_said() -> None:
    for text, neurons, fires, said in (
        (
            "rate:4",
            6,
            True,
            "the 6 neurons of output 'out' are no 4 equal blocks (K must divide 6)",
        ),
        ("first-spike", 6, False, "output 'out' does not fire"),
        ("above:1", 2, True, "output 'out' has 2 neurons (above:X is for an output of one neuron)"),
    ):
        with pytest.raises(ModelError, match=re.escape(said)):
            check_readout(parse(text), "out", neurons, fires)
