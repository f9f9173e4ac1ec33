"""Spikes hold exactly what the dense array holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from snnstack.trace import Spikes

shapes = array_shapes(min_dims=3, max_dims=5, max_side=4)
sparse = st.sampled_from([0, 0, 0, 1, 1, 2, 255])
denses = shapes.flatmap(lambda shape: arrays(np.uint8, shape, elements=sparse))


@given(denses)
def test_dense_and_back_is_the_same(dense: Any) -> None:
    np.testing.assert_array_equal(Spikes.from_dense(dense).dense(), dense)


@given(denses)
def test_totals_are_sums(dense: Any) -> None:
    spikes = Spikes.from_dense(dense)
    batch, steps, *shape = dense.shape
    assert (spikes.batch, spikes.steps, spikes.shape) == (batch, steps, tuple(shape))
    assert spikes.n == int(np.prod(shape))
    assert spikes.total == int(dense.sum(dtype=np.int64))
    sums = dense.reshape(batch, steps, -1).sum(axis=1, dtype=np.int64)
    np.testing.assert_array_equal(spikes.per_neuron(), sums)


@given(denses)
def test_events_ascend_within_a_step(dense: Any) -> None:
    spikes = Spikes.from_dense(dense)
    keys = spikes.rows() * spikes.n + spikes.indices
    assert (np.diff(keys) > 0).all()
    assert spikes.indptr[0] == 0
    assert spikes.indptr[-1] == len(spikes.indices)
    assert len(spikes.indptr) == spikes.batch * spikes.steps + 1


@given(denses, st.integers(0, 5), st.integers(0, 5))
def test_a_part_of_the_batch_is_a_batch(dense: Any, start: int, stop: int) -> None:
    part = Spikes.from_dense(dense).samples(start, max(start, stop))
    np.testing.assert_array_equal(part.dense(), dense[start : max(start, stop)])
    assert part.indptr[0] == 0


@given(denses)
def test_counts_are_kept_only_where_there_are_any(dense: Any) -> None:
    spikes = Spikes.from_dense(dense)
    assert (spikes.counts is None) == (dense.max(initial=0) <= 1)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32, np.uint8])
def test_any_number_type_gives_the_same_events(dtype: Any) -> None:
    dense = np.array([[[0, 1, 0], [1, 1, 0]]])
    spikes = Spikes.from_dense(dense.astype(dtype))
    np.testing.assert_array_equal(spikes.dense(), dense)
    assert (spikes.indptr.dtype, spikes.indices.dtype) == (np.int64, np.int32)


def test_the_input_is_not_changed() -> None:
    dense = np.array([[[0, 3]]], dtype=np.uint8)
    Spikes.from_dense(dense).dense()[:] = 7
    assert dense.tolist() == [[[0, 3]]]
