"""Event-driven simulation: work proportional to spikes times fan-out.

`run(plan, inputs, *, probes=(), threads=None, progress=None) -> Trace` runs a `NetworkPlan`
(see `snnstack.engine.plan`), integer or float, on a batch. `run_step_graph(graph, spikes,
probes=())` runs a float `StepGraph` in its own numbering.

Both bring in a compiler that takes a moment to load, so they are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnstack.engine.batch import run
    from snnstack.engine.steps import run_step_graph

__all__ = ["run", "run_step_graph"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from snnstack.engine.batch import run

        return run
    if name == "run_step_graph":
        from snnstack.engine.steps import run_step_graph

        return run_step_graph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
