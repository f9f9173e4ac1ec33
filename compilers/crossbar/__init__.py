"""Compiler for crossbars: weights to cells, matrices to tiles, ranges of converters to data."""

from snnstack.compilers.crossbar.calibrate import calibrate
from snnstack.compilers.crossbar.compile import compile

__all__ = ["calibrate", "compile"]
