"""The memory plan: bytes of flash, RAM and stack, known before any compiler runs."""

from __future__ import annotations

from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.program import Program

CODE_BYTES = 2048
"""Start-up, vector table and shared kernels; measured on all supported cores, rounded up."""
CODE_BYTES_PER_LAYER = 1024
CODE_BYTES_PER_ROUTE = 1536
STACK_BYTES = 1024
"""Deepest call chain of `net_step`, measured with -fstack-usage and rounded up."""


def memory_plan(program: Program) -> dict[str, int]:
    """{"flash", "weights", "code", "ram", "state", "scratch", "stack"}: bytes.

    Weights, state and scratch are exact; code and stack are upper bounds.
    """
    layout = plan(program)
    routes = sum(len(layer.routes) for layer in layout.layers)
    code = CODE_BYTES + CODE_BYTES_PER_LAYER * len(layout.layers) + CODE_BYTES_PER_ROUTE * routes
    state = layout.state_bytes
    return {
        "flash": layout.flash_bytes + code,
        "weights": layout.flash_bytes,
        "code": code,
        "ram": state + STACK_BYTES,
        "state": state,
        "stack": STACK_BYTES,
    }
