"""How numbers are written for people, on the terminal and on pages."""

from __future__ import annotations

import math

MISSING = "-"
"""Where there is no number."""


def percent(share: float | None) -> str:
    """`0.9637` as `96.37 %`."""
    return MISSING if share is None else f"{100 * share:.2f} %"


def band(low: float, typical: float, high: float) -> str:
    """`12.3 (10-15)`: expected, smallest and largest value."""
    return f"{digits(typical)} ({digits(low, 2)}-{digits(high, 2)})"


def digits(value: float, figures: int = 3) -> str:
    """Significant digits only, and no exponent where people can read the number.

    >>> [digits(value) for value in (0, 0.04567, 1.239, 45.67, 1293.9)]
    ['0', '0.0457', '1.24', '45.7', '1290']
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.{figures}g}")
    places = max(0, figures - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:.{places}f}" if places < 7 else f"{rounded:.2e}"
