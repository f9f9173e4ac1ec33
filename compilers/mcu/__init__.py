"""Compiler for microcontrollers: memory order, tables, proven widths, memory plan."""

from snnstack.compilers.mcu.compile import compile
from snnstack.compilers.mcu.forms import with_form

__all__ = ["compile", "with_form"]
