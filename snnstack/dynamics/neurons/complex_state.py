"""One complex state of a diagonal linear layer (S4D); it sends the real part of what it adds.

    z <- a z + b x;  sent = 2 Re(c z)

All complex numbers are pairs: a_re, a_im. The outputs of a channel's states add up in a
projection, which has D x beside it.
"""

from __future__ import annotations

from snnstack.dynamics.expr import E
from snnstack.dynamics.model import Field, Model, Names, Next


def step(n: Names, x: E) -> Next:
    """One step on the input `x` of the channel."""
    re = n.a_re * n.re - n.a_im * n.im + n.b_re * x
    im = n.a_re * n.im + n.a_im * n.re + n.b_im * x
    return Next({"re": re, "im": im}, 2 * (n.c_re * re - n.c_im * im))


COMPLEX_STATE = Model(
    name="complex_state",
    states=("re", "im"),
    parameters=(
        Field("a_re", "raw"),
        Field("a_im", "raw"),
        Field("b_re", "raw", 1.0),
        Field("b_im", "raw", 0.0),
        Field("c_re", "raw", 1.0),
        Field("c_im", "raw", 0.0),
    ),
    step=step,
    sends="value",
    source="Gu et al. 2022, S4D, arXiv:2206.11893",
)
