"""SpiNNaker 2: float32 neurons, integer weights, multicast packets."""

from snnstack.backends.spinnaker2.hardware import describe_on, run_on
from snnstack.backends.spinnaker2.numerics import NUMERICS
from snnstack.backends.spinnaker2.price import price
from snnstack.backends.spinnaker2.program import Program
from snnstack.backends.spinnaker2.quantise import quantise
from snnstack.backends.spinnaker2.rules import RULES
from snnstack.backends.spinnaker2.run import describe, run
from snnstack.backends.spinnaker2.run_reference import reference
from snnstack.backends.spinnaker2.store import emit, load, utilization
from snnstack.backends.spinnaker2.views import views

IMPORT_RULES = True
"""`quantise` follows py-spinnaker2's NIR import where it is asked to."""

__all__ = [
    "IMPORT_RULES",
    "NUMERICS",
    "RULES",
    "Program",
    "describe",
    "describe_on",
    "emit",
    "load",
    "price",
    "quantise",
    "reference",
    "run",
    "run_on",
    "utilization",
    "views",
]
