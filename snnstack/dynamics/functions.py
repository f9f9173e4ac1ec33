"""Functions of a real number: the definition is the C library's in float64, rounded once.

numpy has its own `exp` and `tanh`, which differ from the C library's, and from one processor to
the next, in the last digit. A definition must not: here every column calls the same function. In
float32 the argument is widened and the result rounded to float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

ONE = "0x3FF0000000000000"


@dataclass(frozen=True)
class Function:
    """`real(xp, a)`: on arrays of the namespace `xp`; `text`: as in `snnstack.dynamics.ops.Op`."""

    real: Callable[[Any, Any], Any]
    text: Mapping[str, str]


def _of_libm(name: str) -> Callable[[Any, Any], Any]:
    """The C library's function: NaN outside its domain, infinite where it is too large."""
    plain = getattr(math, name)

    def one(a: float) -> float:
        try:
            return float(plain(a))
        except OverflowError:
            return math.inf
        except ValueError:
            return -math.inf if name == "log" and a == 0 else math.nan

    each = np.frompyfunc(one, 1, 1)

    def real(xp: Any, a: Any) -> Any:
        if xp is not np:
            return getattr(xp, name)(a)
        given = np.asarray(a)
        found = np.asarray(each(given.astype(np.float64)), dtype=np.float64)
        return found.astype(given.dtype if given.dtype == np.float32 else np.float64)

    return real


def _called(name: str, argument: str = "{0}", result: str = "") -> dict[str, str]:
    """The call in LLVM's assembly, by number type; it ends it, or gives `result` a value."""
    to = f"{result} = " if result else ""
    narrow = (
        f"{{b}} = fpext float {argument} to double; {{c}} = call double @{name}(double {{b}}); "
    )
    return {
        "llvm_float64": f"{to}call double @{name}(double {argument})",
        "llvm_float32": f"{narrow}{to}fptrunc double {{c}} to float",
    }


def _sigmoid(xp: Any, a: Any) -> Any:
    return 1 / (1 + _EXP(xp, -a))


def _by_exp(end: str) -> dict[str, str]:
    """Text that goes on from 1 + exp(-x), which is {e}."""
    start, then = "{a} = fneg {T} {0}", f"{{e}} = fadd {{T}} {ONE}, {{d}}"
    calls = _called("exp", "{a}", "{d}").items()
    return {column: f"{start}; {call}; {then}; {end}" for column, call in calls}


_EXP = _of_libm("exp")
LIBM = ("exp", "tanh", "log", "sqrt", "sin", "cos")
"""Functions of the C library, by the name they have there."""
FUNCTIONS: Mapping[str, Function] = {
    **{name: Function(_of_libm(name), _called(name)) for name in LIBM},
    "sigmoid": Function(_sigmoid, _by_exp(f"fdiv {{T}} {ONE}, {{e}}")),
    "silu": Function(
        lambda xp, a: a * _sigmoid(xp, a),
        _by_exp(f"{{f}} = fdiv {{T}} {ONE}, {{e}}; fmul {{T}} {{0}}, {{f}}"),
    ),
}
