"""Learning at the next spike of the source, as SpiNNaker does it: a memory, spike by spike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.model import Next
from snnstack.dynamics.own import neuron
from snnstack.dynamics.rule import Plastic
from snnstack.dynamics.rule_library import RULES
from snnstack.dynamics.terms import where
from snnstack.errors import ModelError
from snnstack.ir.step import Dense, Population, Projection, StepGraph, StepInput
from snnstack.reference import run_steps
from snnstack.reference.learning import Deferred

SYN = np.exp(-1 / 0.3)
DECAY = np.exp(-1 / 3)
STDP = {"decay_pre": DECAY, "decay_post": DECAY, "a_plus": 6.0, "a_minus": 6.0, "w_max": 6.0}


@neuron("v", "i_e", "i_i", "wait", "u", dm="factor", r="raw", threshold="volt")
def cell(n: Any, e: Any, i: Any) -> Next:
    """Currents at two receptors, exact between ticks, one tick of rest; `u`: before the reset."""
    i_e, i_i = n.i_e + 0.3 * (1 - SYN) * e, n.i_i + 0.3 * (1 - SYN) * i
    live = n.wait <= 0
    aim = -60 + n.r * (i_e - i_i)
    v = where(live, aim - (aim - n.v) * n.dm, n.v)
    fired = live & (v >= n.threshold)
    states = {"v": where(fired, -60, v), "wait": where(fired, 1, where(live, n.wait, n.wait - 1))}
    return Next({**states, "i_e": i_e * SYN, "i_i": i_i * SYN, "u": v}, fired)


def memory(folder: Path, c: int, n: int) -> StepGraph:
    """The network of the package, from its list of projections."""
    saved = np.load(folder / "weights.npz")
    rows = [json.loads(str(saved[name])) for name in sorted(saved.files)]
    cues = ("CueCue", "CueCont", "MCue", "OutCue")
    sizes = {k: c for k in (*cues, "InCue")} | {"Int": 1}
    sizes |= {k: n for k in ("ContCue", "ContCont", "Cond", "MCont", "OutCont", "InCont")}

    def population(name: str) -> Population:
        cm, tau = (0.14, 0.5) if name in ("CueCont", "Cond", "Int") else (0.27, 3.0)
        numbers = {"dm": np.exp(-1 / tau), "r": tau / cm}
        threshold = -57.5 if name.startswith("Out") else -57.0
        values = {**numbers, "threshold": threshold}
        return Population(name, (sizes[name],), cell, values, initial={"v": -60.0})

    def wire(row: dict[str, Any]) -> Projection:
        shape = sizes[row["target"]], sizes[row["source"]]
        one = np.eye(*shape)
        kinds = {"one": one, "others": 1 - one, "all": np.ones(shape), "stdp": np.zeros(shape)}
        scale = 6.0 * n if row["weight"] == "6N" else float(row["weight"])
        weight = kinds[row["connect"]] * (scale if row["connect"] != "stdp" else 0)
        rule = Plastic(RULES["pair_stdp"], STDP, order="deferred")
        return Projection(
            row["source"],
            row["target"],
            Dense(weight),
            row["delay"],
            port=row["receptor"].lower(),
            rule=rule if row["connect"] == "stdp" else None,
        )

    names = [k for k in sizes if not k.startswith("In") or k == "Int"]
    inputs = tuple(StepInput(k, (sizes[k],), "binary") for k in ("InCue", "InCont"))
    wires = tuple(wire(row) for row in rows)
    return StepGraph(inputs, tuple(map(population, names)), wires, ("OutCue", "OutCont"), 1e-3)


@pytest.mark.data
@pytest.mark.parametrize("case", ["small", "medium", "random"])
def test_a_memory_of_the_hippocampus(data_dir: Path, case: str) -> None:
    """Every spike of ten populations, and all weights after the run."""
    folder = data_dir / "systems" / "hippocampus_cam"
    golden = np.load(folder / "golden.npz")
    graph = memory(folder, int(golden[f"{case}_C"]), int(golden[f"{case}_N"]))
    x = np.hstack([golden[f"{case}_in_cue"], golden[f"{case}_in_content"]])[None].astype(float)
    trace = run_steps(graph, x, [(p.name, "u") for p in graph.populations])
    total = 0
    for p in graph.populations:
        wanted = golden[f"{case}_spikes_{p.name}"]
        assert np.array_equal(trace.spikes[p.name].dense()[0], wanted), p.name
        total += int(wanted.sum())
        if f"{case}_v_{p.name}" in golden:
            v = golden[f"{case}_v_{p.name}"]
            np.testing.assert_allclose(trace.states[p.name, "u"][0], v, rtol=0, atol=1e-9)
    assert total == {"small": 560, "medium": 1642, "random": 770}[case]
    for source, target in (("CueCue", "ContCue"), ("ContCont", "CueCont")):
        wanted = golden[f"{case}_final_weight_{source}_{target}"]
        found = trace.weights[f"{source} -> {target}"][0].T
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
        assert wanted.max() > 1


def test_a_silent_row_stays_as_it_is() -> None:
    """By hand: a pair of 1 step is worth 0.5 a_plus, and is seen with the next source spike."""
    values = {"decay_pre": 0.5, "decay_post": 0.5, "a_plus": 1.0, "a_minus": 0.0, "w_max": 9.0}
    plastic = Plastic(RULES["pair_stdp"], values, order="deferred")
    row = Deferred(plastic, np.array([[2.0]]), 1)
    seen = [(1, 0, 2.0, 2.0), (0, 1, 0.0, 2.0), (0, 0, 0.0, 2.0), (1, 0, 2.5, 2.5)]
    for pre, post, brought, weight in seen:
        found = row(np.array([[float(pre)]]), np.array([[float(post)]]))
        assert (found.item(), row.weights.item()) == (brought, weight)


def test_what_a_deferred_row_cannot_see_is_refused() -> None:
    plastic = Plastic(RULES["eprop"], dict.fromkeys(
        ("alpha", "kappa", "gamma", "threshold", "rate", "w_min", "w_max"), 0.5
    ), "in", "deferred")  # fmt: skip
    wires = (Projection("in", "n", Dense(np.ones((1, 1))), 0, None, "e", plastic),)
    values = {"dm": 0.5, "r": 1.0, "threshold": -57.0}
    inputs, cells = (StepInput("in", (1,), "binary"),), (Population("n", (1,), cell, values),)
    with pytest.raises(ModelError) as error:
        run_steps(StepGraph(inputs, cells, wires, ("n",), 1e-3), np.zeros((1, 2, 1)))
    hint = "(only spikes of source and target are seen then: take the order 'at once')"
    assert [str(p) for p in error.value.problems] == [
        "in -> n: learns at the next spike of its source, and has a delay of 0 "
        "(at least 1 step: Edge(..., delay=1))",
        f"in -> n: eprop changes in every step, and its order is deferred {hint}",
        f"in -> n: eprop reads a third factor, and its order is deferred {hint}",
        f"in -> n: eprop reads v of its targets, and its order is deferred {hint}",
    ]
