"""The memory plan: bytes of flash, RAM and stack, known before any compiler runs."""

from __future__ import annotations

from snnstack.backends.mcu.layout import LayerPlan, Layout, plan
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
    state = state_bytes(layout)
    return {
        "flash": layout.flash_bytes + code,
        "weights": layout.flash_bytes,
        "code": code,
        "ram": state + STACK_BYTES,
        "state": state,
        "stack": STACK_BYTES,
    }


def state_bytes(layout: Layout) -> int:
    """Bytes of the state struct, scratch included."""
    event = layout.event_bits // 8
    total = sum(_layer_bytes(layer, event) for layer in layout.layers)
    if layout.input_slots > 1:
        total += layout.input_slots * (layout.input_capacity * event + 4)
    return total + layout.scratch_bytes + 16


def _layer_bytes(layer: LayerPlan, event: int) -> int:
    total = 4 * layer.n
    if layer.layer.beta is not None:
        total += 4 * layer.n
    if layer.fires:
        total += layer.slots * (event * layer.n + 4)
    if layer.layer.refractory:
        total += layer.n * {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4}[layer.fired_type]
    return -(-total // 4) * 4
