"""Mapping: blocks cover every neuron once, pairs equal a brute-force count, limits hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.errors import CapacityError
from snnstack.ir.matrix import matrix, pool_matrix
from snnstack.ir.step import Conv, Dense, Pool, Projection, Sparse
from snnstack.mapping.blocks import cut
from snnstack.mapping.partition import Amount, Wire, partition
from snnstack.mapping.place import Mesh, by_layer, interleaved, pack, positions
from snnstack.mapping.reach import pairs
from snnstack.mapping.route import travel

NAMES = {r: r for r in ("neurons", "inputs", "outputs", "memory_bytes")}


def _table(projection, blocks, sources):
    table = np.zeros((sources, blocks.count), dtype=np.int64)
    for found in pairs(projection, blocks):
        np.add.at(table, (found.source, found.block), found.length)
    return table


def _expected(weights, blocks):
    used = (weights != 0).astype(np.int64)
    order = blocks.of_neurons()
    return np.stack([used[order == b].sum(axis=0) for b in range(blocks.count)], axis=1)


@st.composite
def convolutions(draw):
    small, groups = st.integers(1, 2), draw(st.integers(1, 2))
    height, width = draw(st.integers(3, 8)), draw(st.integers(3, 8))
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stride, padding = (draw(small), draw(small)), (draw(small) - 1, draw(small) - 1)
    dilation = (1, draw(small))
    c_in, c_out = 2 * draw(small), 2 * draw(st.integers(1, 3))
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip((height, width), padding, dilation, kernel, stride, strict=True)
    ]
    weight = np.ones((c_out, c_in // groups, *kernel), dtype=np.int64)
    out = (c_out, max(sizes[0], 1), max(sizes[1], 1))
    return Conv(weight, (c_in, height, width), out, stride, padding, dilation, groups)


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(1, 200), st.booleans())
def test_pairs_of_a_convolution_equal_those_of_its_matrix(conv, most, pooled):
    blocks = cut(conv.out_shape, most, True)
    weights = matrix(conv, int(np.prod(conv.out_shape))).toarray().astype(np.int64)
    pool, dense = None, Dense(weights)
    if pooled:
        c, h, w = conv.in_shape
        pool = Pool((c, 2 * h, 2 * w), conv.in_shape, (2, 2), (2, 2), (0, 0))
        weights = weights @ pool_matrix(pool).toarray().astype(np.int64)
    for synapses in (conv, dense):
        found = _table(Projection("a", "b", synapses, 0, pool), blocks, weights.shape[1])
        expected = _expected(weights, blocks)
        assert np.array_equal(found, expected)


def test_pairs_of_a_list_skip_zero_weights_and_cross_chunks(monkeypatch):
    monkeypatch.setattr("snnstack.mapping.reach.CHUNK", 7)
    rng = np.random.default_rng(0)
    dense = rng.integers(-1, 2, (20, 30))
    target, source = np.nonzero(np.ones_like(dense))
    order = np.lexsort((target, source))
    indptr = np.arange(31) * 20
    sparse = Sparse(indptr, target[order].astype(np.int32), dense.T.ravel())
    blocks = cut((20,), 6, False)
    found = _table(Projection("a", "b", sparse), blocks, 30)
    assert np.array_equal(found, _expected(dense, blocks))


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 60), st.booleans())
def test_blocks_cover_every_neuron_once_and_respect_their_size(c, h, w, most, tiled):
    blocks = cut((c, h, w), most, tiled)
    assert blocks.sizes().max() <= most
    assert np.array_equal(np.bincount(blocks.of_neurons(), minlength=blocks.count), blocks.sizes())


def _wire(weights, source="x", target="a"):
    projection = Projection(source, target, Dense(weights))
    return Wire(projection, lambda length, targets: length, lambda b: np.zeros(b.count, np.int64))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**31), st.integers(60, 400))
def test_no_core_is_over_a_limit(n, m, seed, room):
    rng = np.random.default_rng(seed)
    wires = [_wire(rng.integers(0, 2, (n, 30))), _wire(rng.integers(0, 2, (m, n)), "a", "b")]
    limits = Amount(neurons=25, inputs=60, outputs=100, memory_bytes=room)
    parts = partition({"a": (n,), "b": (m,)}, wires, limits, NAMES)
    for order in (by_layer, interleaved):
        core, used = pack(parts, order(parts), limits)
        for uses in used:
            assert uses["neurons"] <= 25 and uses["memory_bytes"] <= room
            assert uses["inputs"] <= 60 and uses["outputs"] <= 100
        assert sum(uses["neurons"] for uses in used) == n + m
        assert sum(len(numbers) for numbers in core.values()) == len(order(parts))


def test_a_neuron_with_too_many_inputs_is_named_with_the_limit():
    limits = Amount(neurons=10, inputs=20, outputs=None, memory_bytes=10_000)
    with pytest.raises(CapacityError) as error:
        partition({"a": (4,)}, [_wire(np.ones((4, 30), dtype=np.int64))], limits, NAMES)
    assert str(error.value) == (
        "a: block 0 of 1 neurons needs 30 inputs, a core has 20 "
        "(a single neuron cannot be divided: reduce its connections)"
    )


def test_consecutive_cores_on_a_chip_are_at_most_one_tile_apart():
    mesh = Mesh(chips=(2, 1), tiles=(8, 4), cores_per_tile=4, cores_per_chip=128)
    cores = positions(256, mesh)
    step = np.abs(np.diff(cores.x)) + np.abs(np.diff(cores.y))
    assert np.delete(step, 127).max() == 1
    assert cores.chip.tolist() == [0] * 128 + [1] * 128
    assert len(set(zip(cores.x.tolist(), cores.y.tolist(), strict=True))) == 64


def test_hops_are_the_distance_between_tiles():
    mesh = Mesh(chips=(1, 1), tiles=(4, 1), cores_per_tile=1, cores_per_chip=4)
    wires = [_wire(np.eye(4, dtype=np.int64)), _wire(np.ones((4, 4), dtype=np.int64), "a", "a")]
    limits = Amount(neurons=1, inputs=None, outputs=None, memory_bytes=None)
    parts = partition({"a": (4,)}, wires, limits, NAMES)
    core, used = pack(parts, by_layer(parts), limits)
    where = positions(len(used), mesh)
    way = travel("a", 4, core["a"], wires, parts.blocks, core, where)
    assert way.messages.tolist() == [4, 4, 4, 4]
    assert way.hops_x.tolist() == [6, 4, 4, 6]
    assert way.hops_y.tolist() == [0, 0, 0, 0]
    assert travel("x", 4, None, wires, parts.blocks, core, where).hops_x.tolist() == [0, 1, 2, 3]
