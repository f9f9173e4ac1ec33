"""Record what Brian2 computes for pair and triplet STDP: tests/learning/goldens/brian2.npz.

Needs Brian2 2.9 (`pip install brian2`), which the project does not: run it in an environment of
its own, with the file to write as argument. All to all from five sources to three targets,
all spikes given (of both sides, some in the same step), 400 steps of 1 ms, in numpy.
"""

from __future__ import annotations

import sys
from typing import Any

import brian2 as b2  # type: ignore[import-not-found,unused-ignore]
import numpy as np

STEPS, SOURCES, TARGETS = 400, 5, 3
TRACES = """
w : 1
dx/dt = -x / (17*ms) : 1 (event-driven)
dy/dt = -y / (29*ms) : 1 (event-driven)
"""
DOWN = "w = clip(w - 0.04 * y, 0, 1)"
UP = "w = clip(w + 0.05 * x, 0, 1)"
SOFT_DOWN = "w = clip(w - 0.04 * w * y, 0, 1)"
SOFT_UP = "w = clip(w + 0.05 * (1 - w) * x, 0, 1)"
TRIPLET = """
w : 1
dr1/dt = -r1 / (16.8*ms) : 1 (event-driven)
dr2/dt = -r2 / (101*ms) : 1 (event-driven)
do1/dt = -o1 / (33.7*ms) : 1 (event-driven)
do2/dt = -o2 / (125*ms) : 1 (event-driven)
"""
RULES = {
    "pair_stdp": (TRACES, f"{DOWN}\nx += 1", f"{UP}\ny += 1"),
    "nearest_stdp": (TRACES, f"{DOWN}\nx = 1", f"{UP}\ny = 1"),
    "soft_stdp": (TRACES, f"{SOFT_DOWN}\nx += 1", f"{SOFT_UP}\ny += 1"),
    "nearest_soft_stdp": (TRACES, f"{SOFT_DOWN}\nx = 1", f"{SOFT_UP}\ny = 1"),
    "triplet_stdp": (
        TRIPLET,
        "w = clip(w - o1 * (0.02 + 0.003 * r2), 0, 1)\nr1 += 1\nr2 += 1",
        "w = clip(w + r1 * (0.01 + 0.02 * o2), 0, 1)\no1 += 1\no2 += 1",
    ),
}


def run(rule: tuple[str, str, str], pre: Any, post: Any, w: Any) -> Any:
    """Weights [step, target, source] after every step."""
    b2.start_scope()
    sides = []
    for spikes in (pre, post):
        at, index = np.nonzero(spikes)
        sides.append(b2.SpikeGeneratorGroup(spikes.shape[1], index, at * b2.ms))
    model, on_pre, on_post = rule
    synapses = b2.Synapses(*sides, model, on_pre={"first": on_pre}, on_post={"second": on_post})
    synapses.first.order, synapses.second.order = 0, 1
    synapses.connect()
    synapses.w = w.T.ravel()
    monitor = b2.StateMonitor(synapses, "w", record=True, when="end")
    b2.Network(*sides, synapses, monitor).run(STEPS * b2.ms)
    return np.asarray(monitor.w).T.reshape(STEPS, SOURCES, TARGETS).transpose(0, 2, 1)


def main() -> None:
    """Write the file."""
    b2.prefs.codegen.target = "numpy"
    b2.defaultclock.dt = 1 * b2.ms
    rng = np.random.default_rng(20)
    pre = (rng.random((STEPS, SOURCES)) < 0.06).astype(np.uint8)
    post = (rng.random((STEPS, TARGETS)) < 0.06).astype(np.uint8)
    w = rng.random((TARGETS, SOURCES))
    found = {name: run(rule, pre, post, w) for name, rule in RULES.items()}
    np.savez_compressed(sys.argv[1], pre=pre, post=post, w=w, **found)


if __name__ == "__main__":
    main()
