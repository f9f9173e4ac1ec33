"""To SpiNNaker 2: quantised networks, or networks in chip units, onto processing elements."""

from snnstack.compilers.spinnaker2.compile import compile, compile_chip

__all__ = ["compile", "compile_chip"]
