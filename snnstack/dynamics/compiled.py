"""`compiled` and `inlined`: how this package turns functions into machine code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """`function` compiled on first use, kept on disk, and free of the interpreter's lock."""
    return cast(F, _jit(function))


def inlined(function: F) -> F:
    """As `compiled`, and copied into its caller: for steps of a loop that read many arrays."""
    return cast(F, _jit(function, inline="always"))


def _jit(function: Any, **options: Any) -> Any:
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep machine code in: compile in every process
        return numba.njit(**options)(function)
    # Numba would keep old code when only a called function, in another file, has changed.
    kept: Any = getattr(getattr(made, "_cache", None), "_cache_file", None)
    if hasattr(kept, "_source_stamp"):
        kept._source_stamp = _stamp()
    return made


@cache
def _stamp() -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of every file of this package."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files)
