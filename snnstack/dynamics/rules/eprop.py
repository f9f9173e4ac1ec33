"""E-prop for feed-forward synapses onto LIF neurons.

    z <- alpha z + s_pre                                  (filtered source)
    psi = gamma / threshold max(0, 1 - |u - threshold| / threshold)
    e <- kappa e + psi z;   w <- w - rate L_post e

u is the membrane before the reset: the target subtracts its threshold, so that u is v plus the
threshold where it has fired. L_post, the learning signal, is the modulator, one for each target.

Source: Bellec et al., Nat. Commun. 11, 3625 (2020).
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Names
from snnstack.dynamics.rule import Memory, Rule
from snnstack.dynamics.terms import held, magnitude, most


def each_step(n: Names) -> dict[str, E]:
    """Eligibility, then the weight."""
    u = n.v + n.post * n.threshold
    psi = n.gamma / n.threshold * most(0, 1 - magnitude(u - n.threshold) / n.threshold)
    e = n.kappa * n.e + psi * n.z
    return {"e": e, "w": held(n.w - n.rate * n.modulator * e, n.w_min, n.w_max)}


EPROP = Rule(
    name="eprop",
    parameters=(
        Field("alpha", "factor"),
        Field("kappa", "factor"),
        Field("gamma", "raw", 0.3),
        Field("threshold", "volt"),
        Field("rate", "raw"),
        Field("w_min", "raw"),
        Field("w_max", "raw"),
    ),
    pre=(Memory("z", "alpha"),),
    synapse=("e",),
    each_step=each_step,
    reads=("v",),
    modulated=True,
    source="Bellec et al. 2020, doi:10.1038/s41467-020-17236-y",
)
