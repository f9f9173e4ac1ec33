"""What arrays of a saved program must be before anything indexes with them: shapes and ranges.

`snnstack.serial` checks that a field holds an array, a tuple or a number. Here: that the arrays
belong to each other, so that code that was compiled, and checks nothing, stays inside of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from snnstack.errors import Problem
from snnstack.ir.nodes import Shape
from snnstack.ir.step import Conv, Dense, Pool, Sparse, Synapses, size

AGAIN = "compile the model again"
INT32 = 2**31 - 1
LARGEST_DELAY = 2**15
"""Steps; memory for the events of all of them is kept."""
LARGEST_WINDOW = 2**20
"""Elements of a kernel times channels: each is a table of its own."""


class Range(NamedTuple):
    """Whole numbers `low`..`high`."""

    low: int = -INT32 - 1
    high: int = INT32


def array_problems(
    where: str, values: Any, shape: Shape, within: Range | None = None
) -> Iterator[Problem]:
    """An array that has not this `shape`; `within`: or is not whole numbers of that range.

    Without a range: or holds a number that is not finite. None, an array that is left out, fits.
    """
    if values is None:
        return
    if values.shape != shape:
        yield Problem(where, f"has shape {values.shape}, not {shape}", AGAIN)
    elif within is None:
        if not np.isfinite(values).all():
            yield Problem(where, "holds a number that is not finite", AGAIN)
    elif not _is_whole(values, within):
        yield Problem(where, f"holds {values.dtype}, not integers", AGAIN)
    elif values.size and not within.low <= int(values.min()) <= int(values.max()) <= within.high:
        what = f"holds {int(values.min())}..{int(values.max())}, not {within.low}..{within.high}"
        yield Problem(where, what, AGAIN)


def _is_whole(values: Any, within: Range) -> bool:
    """Integers of a type that numpy joins with others without turning them into reals or masks."""
    wide = values.dtype.kind == "u" and values.dtype.itemsize == 8
    return values.dtype.kind in "iu" and (not wide or within.high >= 2**63)


def list_problems(where: str, values: Any, within: Range) -> Iterator[Problem]:
    """An array that is no list of whole numbers of that range."""
    if values.ndim != 1:
        yield Problem(where, f"has shape {values.shape}, and should be a list", AGAIN)
    else:
        yield from array_problems(where, values, values.shape, within)


def pointer_problems(where: str, indptr: Any, rows: int, total: int) -> Iterator[Problem]:
    """Pointers that do not divide `total` entries into `rows` rows."""
    wrong = list(array_problems(where, indptr, (rows + 1,), Range(0, total)))
    yield from wrong
    if not wrong and (indptr[0] or indptr[-1] != total or np.any(indptr[1:] < indptr[:-1])):
        yield Problem(where, f"does not divide {total} entries into {rows} rows", AGAIN)


def scale_problems(
    scales: Mapping[str, Any], sizes: Mapping[str, int], where: str = "scales"
) -> Iterator[Problem]:
    """State units per volt that are no positive numbers, one for each neuron of a population."""
    for name, scale in scales.items():
        if name not in sizes:
            yield Problem(where, f"{name}: is no population of this program", AGAIN)
            continue
        wrong = list(array_problems(f"{name}, scale", scale, (sizes[name],)))
        yield from wrong
        if not wrong and not (scale > 0).all():
            yield Problem(f"{name}, scale", "is not above 0", AGAIN)


def name_problems(
    inputs: list[str], shapes: Mapping[str, Shape], names: list[str], outputs: tuple[str, ...]
) -> Iterator[Problem]:
    """Populations that share a name, none at all, sizes beyond 2**31, results that are none."""
    if not names or len({*inputs, *names}) != len(names) + len(inputs):
        yield Problem("populations", "there are none, or two have the same name", AGAIN)
    for name, shape in shapes.items():
        if not all(0 < n <= INT32 for n in shape) or len(shape) > 32 or _product(shape) > INT32:
            yield Problem(name, f"has the shape {shape}", AGAIN)
    if not outputs or not set(names).issuperset(outputs):
        yield Problem("outputs", "no populations of this program", AGAIN)


def _product(shape: Shape) -> int:
    """`size`, in integers that have no end."""
    found = 1
    for n in shape:
        found *= n
    return found


def synapse_problems(
    where: str, synapses: Synapses, sources: int, targets: int, weight: Range | None = None
) -> Iterator[Problem]:
    """Synapses that are not between `sources` elements and `targets` neurons."""
    weight = weight or Range()
    match synapses:
        case Dense(weight=values):
            yield from array_problems(where, values, (targets, sources), weight)
        case Sparse():
            yield from list_problems_of(where, synapses, sources, targets, weight)
        case Conv():
            values = synapses.weight
            if values.ndim != 4:
                yield Problem(where, f"weights have shape {values.shape}", AGAIN)
                return
            yield from array_problems(where, values, values.shape, weight)
            joined = (values.shape[1] * synapses.groups, values.shape[0])
            yield from conv_problems(where, synapses, values.shape[2:], joined)
            if (size(synapses.in_shape), size(synapses.out_shape)) != (sources, targets):
                yield Problem(where, f"is no convolution of {sources} to {targets}", AGAIN)


def list_problems_of(
    where: str, sparse: Any, sources: int, targets: int, weight: Range
) -> Iterator[Problem]:
    """Lists of synapses (`indptr`, `target`, `weight`) that lead out of their arrays."""
    wrong = list(list_problems(f"{where}, targets", sparse.target, Range(0, targets - 1)))
    yield from wrong
    if not wrong:
        total = len(sparse.target)
        yield from array_problems(f"{where}, weights", sparse.weight, (total,), weight)
        yield from pointer_problems(f"{where}, rows", sparse.indptr, sources, total)


def conv_problems(
    where: str, conv: Any, kernel: Shape, channels: tuple[int, int]
) -> Iterator[Problem]:
    """A convolution whose weights join other `channels` (in, out), or whose steps are no steps."""
    groups, into, out = conv.groups, conv.in_shape[0], conv.out_shape[0]
    steps = (*conv.stride, *conv.dilation)
    if not all(0 < n <= LARGEST_DELAY for n in (*steps, *conv.in_shape, *conv.out_shape)):
        yield Problem(where, "has a shape, stride or dilation outside 1..32768", AGAIN)
    elif not all(abs(n) <= LARGEST_DELAY for n in conv.padding) or 0 in kernel:
        yield Problem(where, f"has padding {conv.padding} and a kernel of {kernel}", AGAIN)
    elif channels != (into, out) or groups < 1 or into % groups or out % groups:
        what = f"weights join {channels} channels in {groups} groups, the shapes {(into, out)}"
        yield Problem(where, what, AGAIN)


def pool_problems(where: str, pool: Pool, sources: int) -> Iterator[Problem]:
    """A pool that is none of `sources` elements, or whose map is larger than they allow."""
    (channels, *into), (same, *out) = pool.in_shape, pool.out_shape
    numbers = (*pool.in_shape, *pool.out_shape, *pool.stride, *pool.kernel)
    axes = list(zip(into, out, pool.padding, strict=True))
    if not all(0 < n <= INT32 for n in numbers) or not all(0 <= n <= INT32 for n in pool.padding):
        yield Problem(f"{where}, pool", "has a shape, stride, kernel or padding below 1", AGAIN)
    elif channels != same or _product(pool.in_shape) != sources:
        yield Problem(f"{where}, pool", f"is none of {sources} elements", AGAIN)
    elif channels * _product(pool.kernel) > LARGEST_WINDOW or any(
        p > k or o > n + 2 * p + 1 for (n, o, p), k in zip(axes, pool.kernel, strict=True)
    ):
        what = f"windows of {pool.kernel} make {pool.out_shape} of {pool.in_shape}"
        yield Problem(f"{where}, pool", what, AGAIN)


def connection_problems(
    connection: Any, sizes: Mapping[str, int], weight: Range | None = None
) -> Iterator[Problem]:
    """`source`, `target`, `synapses`, `delay`, `pool` between populations of known `sizes`."""
    where = f"{connection.source} to {connection.target}"
    if not {connection.source, connection.target} <= sizes.keys():
        yield Problem(where, "is no connection of this network", AGAIN)
        return
    if not 0 <= connection.delay <= LARGEST_DELAY:
        yield Problem(where, f"has a delay of {connection.delay} steps", AGAIN)
    sources = sizes[connection.source]
    if connection.pool is not None:
        wrong = list(pool_problems(where, connection.pool, sources))
        yield from wrong
        if wrong:
            return
        sources = size(connection.pool.out_shape)
    yield from synapse_problems(
        where, connection.synapses, sources, sizes[connection.target], weight
    )
