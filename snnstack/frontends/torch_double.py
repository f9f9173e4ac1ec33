"""The same module in double precision: tells a wrong import from rounding in single precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def double_precision(module: Any) -> Iterator[Any]:
    """A copy of the module that computes in float64, also where it asks for `.float()`."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Double(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is torch.Tensor.float:
                func = torch.Tensor.double
            swap = {torch.float32: torch.float64, torch.float: torch.float64}
            args = tuple(swap.get(a, a) if isinstance(a, torch.dtype) else a for a in args)
            kwargs = {
                k: swap.get(v, v) if isinstance(v, torch.dtype) else v
                for k, v in (kwargs or {}).items()
            }
            return func(*args, **kwargs)

    usual = torch.get_default_dtype()
    twin = copy.deepcopy(module).double()
    torch.set_default_dtype(torch.float64)
    try:
        with Double():
            yield twin
    finally:
        torch.set_default_dtype(usual)
