"""Any neuron model in integers: formats from calibrated ranges, proven by intervals."""

from snnstack.quant.fixed.check import saturations
from snnstack.quant.fixed.point import fixed_point
from snnstack.quant.fixed.ranges import calibrated
from snnstack.quant.fixed.record import WORD32, Clip, Fixed, Machine

__all__ = ["WORD32", "Clip", "Fixed", "Machine", "calibrated", "fixed_point", "saturations"]
