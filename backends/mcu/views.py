"""Pictures of a program: what its flash and its RAM hold."""

from __future__ import annotations

from snnstack.backends.mcu.layout import LayerPlan, plan
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.route_plan import Constant
from snnstack.report.views import MemoryMap, Part, View


def views(program: Program) -> tuple[View, ...]:
    """The memory map: flash by layer, code and constants; RAM by state, buffers and stack."""
    capacity, memory = program.board.capacity, program.memory
    layout = plan(program)
    weights = [Part(f"weights {p.layer.name}", _weights(p)) for p in layout.layers]
    constants = memory["weights"] - sum(part.bytes for part in weights)
    flash = (Part("code", memory["code"]), Part("neuron constants", constants), *weights)
    between = memory["ram"] - memory["state"] - memory["stack"]
    ram = (
        Part("state and events", memory["state"]),
        Part("alignment", between),
        Part("stack", memory["stack"]),
    )
    return (
        _map("flash", int(capacity["flash_bytes"].value), flash),
        _map("RAM", int(capacity["ram_bytes"].value), ram),
    )


def _weights(plan: LayerPlan) -> int:
    tables = [c for r in plan.routes for c in (r.weight, r.indptr, r.target)]
    return sum(_bytes(table) for table in tables if table is not None)


def _bytes(table: Constant) -> int:
    return int(table.size)


def _map(title: str, capacity: int, parts: tuple[Part, ...]) -> MemoryMap:
    return MemoryMap(title, capacity, tuple(part for part in parts if part.bytes > 0))
