"""The memory plan: bytes of flash, RAM and stack, known before any compiler runs."""

from __future__ import annotations

from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.program import Program
from snnstack.dynamics.trace import operations, traced

CODE_BYTES = 2048
"""Start-up, vector table and shared kernels; measured on all supported cores, rounded up."""
CODE_BYTES_PER_LAYER = 1024
CODE_BYTES_PER_OPERATION = 40
"""Of the step of a model that is not of the LIF family: 64 bits on a core of 32."""
CODE_BYTES_PER_ROUTE = {"sparse": 512, "dense": 1536, "conv": 2048, "full": 2048}
CODE_BYTES_PER_POOL = 1024
STACK_BYTES = 1024
"""Deepest call chain of `net_step`, measured with -fstack-usage and rounded up."""


def memory_plan(program: Program) -> dict[str, int]:
    """{"flash", "weights", "code", "ram", "state", "scratch", "stack"}: bytes.

    All but code and stack are exact; those are upper bounds, which are set aside.
    """
    layout = plan(program)
    routes = [route for layer in layout.layers for route in layer.routes]
    code = CODE_BYTES + CODE_BYTES_PER_LAYER * len(layout.layers)
    others = (x.neurons for x in program.layers if not x.is_lif)
    code += sum(CODE_BYTES_PER_OPERATION * operations(traced(n)) for n in others)
    code += sum(CODE_BYTES_PER_ROUTE[route.kind] for route in routes)
    code += CODE_BYTES_PER_POOL * sum(route.pool is not None for route in routes)
    state = layout.state_bytes
    return {
        "flash": layout.flash_bytes + code,
        "weights": layout.flash_bytes,
        "code": code,
        "ram": -(-state // 8) * 8 + STACK_BYTES,  # the linker aligns both to 8
        "state": state,
        "stack": STACK_BYTES,
    }
