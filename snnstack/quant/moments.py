"""What the synapses of a population see over a run: second moments of the filtered input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnstack.ir.matrix import pool_matrix
from snnstack.ir.nodes import Array
from snnstack.ir.step import Conv, Population, Projection, source_size
from snnstack.trace import Spikes

MOST_SLOTS = 2**15
"""(sample, step) pairs that the moments are taken from."""
MOST_PATCHES = 2**16
"""(sample, step, position) triples that a convolution's moments are taken from."""
MOST_VALUES = 2**23
"""Filtered inputs that are held at a time."""


def filtered_moments(
    population: Population, into: tuple[Projection, ...], sources: dict[str, Spikes]
) -> Array:
    """Mean of z z' over samples and steps: float64 [inputs, inputs], inputs in projection order.

    z is what all sources of `into` send, pooled where there is a pool, through the population's
    own decays: the membrane without a reset is W z.
    """
    n = sum(source_size(p) for p in into)
    total, slots = np.zeros((n, n)), 0
    for z in _filtered(population, into, sources):
        flat = z.reshape(-1, z.shape[-1])
        total += flat.T @ flat
        slots += len(flat)
    return np.asarray(total / max(slots, 1))


def patch_moments(
    population: Population, projection: Projection, sources: dict[str, Spikes]
) -> list[Array]:
    """Of every group of a convolution, the mean of z z' over samples, steps and positions.

    float64 [inputs, inputs], inputs being the taps [C_in / groups, K_y, K_x] in C order.
    """
    conv = projection.synapses
    assert isinstance(conv, Conv)
    _, c_in, ky, kx = conv.weight.shape
    totals, rows = np.zeros((conv.groups, (n := c_in * ky * kx), n)), 0
    positions = conv.out_shape[1] * conv.out_shape[2]
    slots = sources[projection.source].batch * sources[projection.source].steps
    every = max(1, min(slots, MOST_SLOTS) * positions // MOST_PATCHES)
    for z in _filtered(population, (projection,), sources):
        maps = z.reshape(-1, *conv.in_shape)[::every]
        patches = _patches(conv, maps)
        for g in range(conv.groups):
            flat = patches[:, g * c_in : (g + 1) * c_in].transpose(0, 4, 5, 1, 2, 3).reshape(-1, n)
            totals[g] += flat.T @ flat
        rows += len(maps) * positions
    return [np.asarray(total / max(rows, 1)) for total in totals]


def _patches(conv: Conv, maps: Array) -> Array:
    """[map, C_in, K_y, K_x, H', W']: what every output position sees."""
    _, _, ky, kx = conv.weight.shape
    (_, oh, ow), (dy, dx), (sy, sx) = conv.out_shape, conv.dilation, conv.stride
    (py, px), (_, h, w) = conv.padding, conv.in_shape
    after = (max((oh - 1) * sy + (ky - 1) * dy + 1 - py - h, 0),
             max((ow - 1) * sx + (kx - 1) * dx + 1 - px - w, 0))  # fmt: skip
    image = np.pad(maps, ((0, 0), (0, 0), (py, after[0]), (px, after[1])))
    out = np.empty((*maps.shape[:2], ky, kx, oh, ow))
    for y in range(ky):
        for x in range(kx):
            rows = slice(y * dy, y * dy + (oh - 1) * sy + 1, sy)
            columns = slice(x * dx, x * dx + (ow - 1) * sx + 1, sx)
            out[:, :, y, x] = image[:, :, rows, columns]
    return out


def _filtered(
    population: Population, into: tuple[Projection, ...], sources: dict[str, Spikes]
) -> Iterator[Array]:
    """Some samples at a time: float64 [sample, step, inputs]."""
    first = sources[into[0].source]
    batch = max(1, min(first.batch, MOST_SLOTS // max(first.steps, 1)))
    n = max(sum(source_size(p) for p in into), sum(sources[p.source].n for p in into))
    some = max(1, MOST_VALUES // max(n * first.steps, 1))
    alpha = float(np.mean(population.alpha))
    beta = None if population.beta is None else float(np.mean(population.beta))
    for start in range(0, batch, some):
        stop = min(start + some, batch)
        columns = [_sent(p, sources[p.source].samples(start, stop)) for p in into]
        z = np.concatenate(columns, axis=2)
        if beta is not None:
            z = _low_pass(z, beta)
        yield _low_pass(z, alpha)


def _sent(projection: Projection, spikes: Spikes) -> Array:
    """What arrives at the synapses: float64 [sample, step, source element]."""
    x = spikes.dense().astype(np.float64).reshape(spikes.batch, spikes.steps, -1)
    if projection.pool is not None:
        matrix = pool_matrix(projection.pool)
        x = np.asarray((matrix @ x.reshape(-1, x.shape[2]).T).T).reshape(*x.shape[:2], -1)
    late = np.zeros_like(x)
    late[:, projection.delay :] = x[:, : x.shape[1] - projection.delay]
    return late


def _low_pass(x: Array, factor: float) -> Array:
    out = np.empty_like(x)
    state = np.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        state = factor * state + x[:, t]
        out[:, t] = state
    return out
