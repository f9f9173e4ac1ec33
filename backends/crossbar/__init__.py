"""Resistive crossbars: memory devices as data, exact circuits of arrays, SPICE netlists."""

from snnstack.backends.crossbar.circuits import agreements
from snnstack.backends.crossbar.clipping import clipped
from snnstack.backends.crossbar.netlists import netlists
from snnstack.backends.crossbar.numerics import NUMERICS, quantise
from snnstack.backends.crossbar.price import price
from snnstack.backends.crossbar.program import Program
from snnstack.backends.crossbar.rules import RULES
from snnstack.backends.crossbar.run import describe, run
from snnstack.backends.crossbar.store import emit, load, utilization
from snnstack.backends.crossbar.views import views

LATE_RESETS = True
"""The digital neurons do everything that a `QuantizedPopulation` says about resets."""
LATE_RESETS = True
STATISTICAL = True
"""An emulation with a seed is one chip of many."""

__all__ = [
    "LATE_RESETS",
    "NUMERICS",
    "RULES",
    "STATISTICAL",
    "Program",
    "agreements",
    "clipped",
    "describe",
    "emit",
    "load",
    "netlists",
    "price",
    "quantise",
    "run",
    "utilization",
    "views",
]
