"""Energy per inference: counted events times coefficients with a band, a status and a source.

Every target prices what it counted with `price` (or `clocked_energy`, if it executes
instructions) and returns an `Energy`; nothing here knows a target.
"""

from snnstack.energy.cycles import COUNTED, clocked_energy, latency
from snnstack.energy.model import Band, Component, Energy, Factor, Kind, Term
from snnstack.energy.price import factor, fixed, microjoules, price

__all__ = [
    "COUNTED",
    "Band",
    "Component",
    "Energy",
    "Factor",
    "Kind",
    "Term",
    "clocked_energy",
    "factor",
    "fixed",
    "latency",
    "microjoules",
    "price",
]
