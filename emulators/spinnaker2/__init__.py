"""SpiNNaker 2, emulated bit for bit on the event engine."""

from snnstack.emulators.spinnaker2.emulate import emulate, emulate_network

__all__ = ["emulate", "emulate_network"]
