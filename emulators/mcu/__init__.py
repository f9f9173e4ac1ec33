"""Microcontrollers, emulated bit for bit on the event engine."""

from snnstack.emulators.mcu.emulate import emulate

__all__ = ["emulate"]
