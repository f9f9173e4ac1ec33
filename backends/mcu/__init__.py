"""Microcontrollers: int8 weights, int32 states, C99 firmware, QEMU as the independent run."""

from snnstack.backends.mcu.ann import opponent
from snnstack.backends.mcu.cycles import worst_step
from snnstack.backends.mcu.device import describe_on, run_on
from snnstack.backends.mcu.footprint import measured
from snnstack.backends.mcu.numerics import NUMERICS, numerics
from snnstack.backends.mcu.price import price
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.rules import RULES
from snnstack.backends.mcu.run import describe, run
from snnstack.backends.mcu.store import emit, load, utilization
from snnstack.backends.mcu.views import views

SEVERAL_INPUTS = True
LATE_RESETS = True

__all__ = [
    "LATE_RESETS",
    "NUMERICS",
    "RULES",
    "Program",
    "describe",
    "describe_on",
    "emit",
    "load",
    "measured",
    "numerics",
    "opponent",
    "price",
    "run",
    "run_on",
    "utilization",
    "views",
    "worst_step",
]
