"""`compiled` and `inlined`: how this package turns functions into machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """`function` compiled on first use, kept on disk, and free of the interpreter's lock."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """As `compiled`, and copied into its caller: for steps of a loop that read many arrays."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(function))
