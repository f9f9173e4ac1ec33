"""Crossbars, emulated: the exact machine, or one chip of many with its noise and its wires."""

from snnstack.emulators.crossbar.emulate import emulate

__all__ = ["emulate"]
