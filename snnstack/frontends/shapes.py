"""When the steps of some data are those of an input."""

from __future__ import annotations

import math

Shape = tuple[int, ...]


def fits(shape: Shape, port: Shape) -> bool:
    """Whether steps of `shape` are what `port` takes, axis by axis.

    Axes of length 1 do not count, and a flat input takes (and a flat step gives) the elements in
    C order. Nothing else is reshaped: a transposed or otherwise cut step of as many elements is
    another one.

    >>> fits((1, 28, 28), (28, 28)), fits((2, 34, 34), (2312,)), fits((2, 17, 68), (2, 34, 34))
    (True, True, False)
    """
    ours, theirs = _squeezed(shape), _squeezed(port)
    flat = len(ours) <= 1 or len(theirs) <= 1
    return ours == theirs or (flat and math.prod(ours) == math.prod(theirs))


def _squeezed(shape: Shape) -> Shape:
    return tuple(n for n in shape if n != 1)
