"""The whole sample times and plus a number: remembered, while its elements keep their marks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.frontends.torch_values import attach, value_of


def plain_name(name: str) -> str:
    """A function's name without the underscores of operators and of functions in place."""
    return name.strip("_")


def rescaled(name: str, args: Any, kwargs: Any, outs: Any) -> bool:
    """Follow `name` if it is arithmetic of the sample with one number; True if it was."""
    wholes = [a for a in args if hasattr(a, "shape") and value_of(a) is not None]
    numbers: list[Any] = [a for a in args if np.isscalar(a)]
    if kwargs or len(wholes) != 1 or len(wholes) + len(numbers) != len(args) or len(outs) != 1:
        return False
    value = value_of(wholes[0])
    if value is None or value.op != "sample" or outs[0].shape != wholes[0].shape:
        return False
    number = float(numbers[0]) if numbers else 0.0
    found = _composed(name, value.key or (1.0, 0.0), number, bool(np.isscalar(args[0])))
    if found is None:
        return False
    outs[0].copy_(wholes[0])
    attach(outs[0], replace(value, key=found))
    return True


def _composed(
    name: str, before: tuple[float, float], number: float, left: bool
) -> tuple[float, float] | None:
    """(scale, shift) after one more operation; `left`: the number stands on the left."""
    scale, shift = before
    match name:
        case "add" | "radd" | "iadd":
            return scale, shift + number
        case "mul" | "rmul" | "imul" | "multiply":
            return scale * number, shift * number
        case "div" | "truediv" | "itruediv" | "divide" | "true_divide" if not left:
            return scale / number, shift / number
        case "neg" | "negative":
            return -scale, -shift
        case "sub" | "isub" | "subtract" if not left:
            return scale, shift - number
        case "sub" | "rsub" | "subtract":
            return -scale, number - shift
    return None
