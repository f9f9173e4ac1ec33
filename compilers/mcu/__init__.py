"""Compiler for microcontrollers: memory order, tables, proven widths, memory plan."""

from snnstack.compilers.mcu.compile import compile

__all__ = ["compile"]
