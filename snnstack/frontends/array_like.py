"""Numbers of numpy, torch or nested lists as one array."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.door import shown
from snnstack.errors import DataError, fail

NAME = "data"
HINT = "give numbers [sample, step, ...] of one shape"


def as_array(value: Any, what: str = "x") -> NDArray[Any]:
    """Numbers of numpy, torch or lists as an array; DataError where they have no one shape."""
    try:
        if hasattr(value, "detach"):  # a tensor: off its device, out of its graph, dense
            value = value.detach().cpu()
            value = value.to_dense() if hasattr(value, "to_dense") else value
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            raise fail(DataError, NAME, f"{what} has masked numbers", "fill them: x.filled(0)")
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise fail(DataError, NAME, f"{what} {_shapeless(value)}", _why(value)) from error
    return found


def _shapeless(value: Any) -> str:
    """Why a list is no array."""
    lengths = {len(one) for one in value if isinstance(one, Sized)} if _is_list(value) else set()
    if len(lengths) > 1:
        return f"holds samples of {' and '.join(map(str, sorted(lengths)[:3]))} steps"
    return f"is {type(value).__name__} {shown(value)}, which is no array of numbers"


def _why(value: Any) -> str:
    return "pad them with steps of zeros to one length" if _is_list(value) else HINT


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple | list)
