"""Loihi, emulated bit for bit on the event engine."""

from snnstack.emulators.loihi.emulate import emulate, emulate_network

__all__ = ["emulate", "emulate_network"]
