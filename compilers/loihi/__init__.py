"""Compiler for Loihi: to chip units, onto cores, under every limit."""

from snnstack.compilers.loihi.compile import compile, compile_chip, compile_model

__all__ = ["compile", "compile_chip", "compile_model"]
