"""Compiler for microcontrollers: memory order, tables, proven widths, memory plan."""

from snnstack.compilers.mcu.compile import compile  # noqa: A004 - the verb

__all__ = ["compile"]
