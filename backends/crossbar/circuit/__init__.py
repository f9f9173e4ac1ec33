"""Exact circuits of crossbar arrays: currents, node voltages, power.

`Circuit(array)` is made once per array; `currents(drive)` is the fast path, `solve(drive)` says
everything. Siemens, ohms, volts, amperes.
"""

from snnstack.backends.crossbar.circuit.array import (
    TOPOLOGIES,
    Array,
    Nonlinearity,
    Topology,
    Wires,
)
from snnstack.backends.crossbar.circuit.circuit import METHODS, Circuit, Method, choose, solve
from snnstack.backends.crossbar.circuit.noise import adjoint, noise_response, noise_std
from snnstack.backends.crossbar.circuit.solution import Solution
from snnstack.backends.crossbar.circuit.transfer import Transfer

__all__ = [
    "METHODS", "TOPOLOGIES", "Array", "Circuit", "Method", "Nonlinearity", "Solution", "Topology",
    "Transfer", "Wires", "adjoint", "choose", "noise_response", "noise_std", "solve",
]  # fmt: skip
