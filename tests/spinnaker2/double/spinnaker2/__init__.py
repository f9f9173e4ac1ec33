"""A stand-in for py-spinnaker2: takes what its documentation allows, runs it on the definition."""

from spinnaker2 import hardware, snn

__all__ = ["hardware", "snn"]
