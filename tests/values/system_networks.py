"""Published systems whose layers send values, as graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snnstack.dynamics.library import MODELS
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LI, Affine, Cells, Input, Linear, Output

Arrays = Mapping[str, Any]


def linear_readout(n: int) -> LI:
    """What arrives in a step, and nothing else, in steps of 1."""
    ones = np.ones(n)
    return LI(ones, ones, 0 * ones)


def egru_language_model(w: Arrays, net: str) -> Graph:
    """Two layers of EGRU over one-hot characters, and the decoder; embeddings folded in."""

    def of(name: str) -> Any:
        return np.asarray(w[f"{net}_{name}"], dtype=np.float64)

    nodes: dict[str, Any] = {"symbol": Input((len(of("emb")),), "binary")}
    edges: list[Edge] = []
    before, first = "symbol", of("emb")
    for k in (1, 2):
        weight, bias, back, more = of(f"W{k}"), of(f"bx{k}"), of(f"R{k}"), of(f"br{k}")
        weight = first @ weight if k == 1 else weight
        units = len(back)
        cells, gates = f"layer{k}", ("update", "reset", "candidate")
        nodes[cells] = Cells((units,), MODELS["egru"], {"threshold": of(f"th{k}")})
        for j, gate in enumerate(gates):
            part = slice(j * units, (j + 1) * units)
            both = bias[part] + (more[part] if gate != "candidate" else 0)
            nodes[f"{gate}{k}"] = Affine(weight[:, part].T, both)
            edges += [Edge(before, f"{gate}{k}", 0), Edge(f"{gate}{k}", cells, 0, gate)]
            lone = gate == "candidate"
            around = Affine(back[:, part].T, more[part]) if lone else Linear(back[:, part].T)
            nodes[f"back_{gate}{k}"] = around
            edges += [Edge(cells, f"back_{gate}{k}", 1),
                      Edge(f"back_{gate}{k}", cells, 0, "recurrent" if lone else gate)]  # fmt: skip
        before = cells
    nodes |= {"decoder": Affine(of("D").T, of("bd")), "logits": linear_readout(len(of("bd"))),
              "out": Output((len(of("bd")),))}  # fmt: skip
    edges += [Edge(before, "decoder", 0), Edge("decoder", "logits", 0), Edge("logits", "out", 0)]
    return Graph(nodes, tuple(edges), dt=1.0, integrator="euler")


def elm_classifier(w: Arrays) -> Graph:
    """One ELM neuron with one synapse a branch, and a linear read-out of its memory."""

    def of(name: str) -> Any:
        return np.asarray(w[f"fsdd_{name}"], dtype=np.float64)

    kappa, branches, memory = of("kappa_m"), len(of("w_s")), len(of("kappa_m"))
    hidden = len(of("b1"))
    gather = np.zeros((branches, branches))
    gather[np.arange(branches), np.arange(branches)] = of("w_s")
    unit = MODELS["leaky_unit"]
    nodes = {
        "x": Input((branches,), "count"),
        "synapses": Linear(gather),
        "branches": Cells((branches,), unit, {"keep": of("kappa_s")}),
        "from_branches": Affine(of("W1")[:, :branches], of("b1")),
        "from_memory": Linear(of("W1")[:, branches:] * kappa),
        "hidden": Cells((hidden,), unit, {}, {"activation": "silu"}),
        "up": Affine(of("W2"), of("b2")),
        "memory": Cells((memory,), unit, {"keep": kappa, "gain": 1.7159 * 5 * (1 - kappa),
                                          "slope": 2 / 3}, {"activation": "tanh"}),
        "read": Affine(of("Wy"), of("by")),
        "scores": linear_readout(len(of("by"))),
        "out": Output((len(of("by")),)),
    }  # fmt: skip
    pairs = [("x", "synapses"), ("synapses", "branches"), ("branches", "from_branches"),
             ("from_branches", "hidden"), ("from_memory", "hidden"), ("hidden", "up"),
             ("up", "memory"), ("memory", "read"), ("read", "scores"),
             ("scores", "out")]  # fmt: skip
    edges = [Edge(a, b, 0) for a, b in pairs] + [Edge("memory", "from_memory", 1)]
    return Graph(nodes, tuple(edges), dt=1.0, integrator="euler")
