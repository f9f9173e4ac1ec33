"""Intel's Loihi, generations 1 and 2: chip units, their definition, Lava as the independent run."""

from snnstack.backends.loihi.as_graph import as_graph
from snnstack.backends.loihi.lava import describe_on, run_on
from snnstack.backends.loihi.netx import read_netx as read_model
from snnstack.backends.loihi.numerics import NUMERICS
from snnstack.backends.loihi.price import price
from snnstack.backends.loihi.program import Program
from snnstack.backends.loihi.quantise import quantise
from snnstack.backends.loihi.rules import RULES
from snnstack.backends.loihi.run_reference import reference
from snnstack.backends.loihi.stand_in import describe, run
from snnstack.backends.loihi.store import emit, load, utilization
from snnstack.backends.loihi.views import views
from snnstack.backends.loihi.wiring import wiring
from snnstack.backends.loihi.wraps import clipped

ANY_MODEL = True
"""The quantiser takes any neuron model, or says what keeps it from a board."""
MODELS = (".net",)
"""Files with Loihi's integers: lava-dl's netx."""

__all__ = [
    "ANY_MODEL",
    "MODELS",
    "NUMERICS",
    "RULES",
    "Program",
    "as_graph",
    "clipped",
    "describe",
    "describe_on",
    "emit",
    "load",
    "price",
    "quantise",
    "read_model",
    "reference",
    "run",
    "run_on",
    "utilization",
    "views",
    "wiring",
]
