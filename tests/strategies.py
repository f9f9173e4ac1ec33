"""Hypothesis strategies for graphs that keep every rule of `snnstack.ir.check`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    IF,
    LI,
    LIF,
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    CubaLI,
    CubaLIF,
    Delay,
    Flatten,
    I,
    Input,
    Leaf,
    Linear,
    Output,
    Scale,
    Shape,
    SumPool2d,
    Threshold,
)
from snnstack.ir.shapes import output_shape, takes

Draw = Any

DT = 1e-3
NEURON_KINDS = (Threshold, I, IF, LI, LIF, CubaLI, CubaLIF)
STATELESS_KINDS = (Linear, Affine, Scale, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten, Delay)

names = st.text("abcXYZ019._- é", min_size=1, max_size=6).filter(lambda s: s not in (".", ".."))
keys = st.text("abc_.é ", min_size=1, max_size=4).filter(lambda s: s not in (".", ".."))
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6)
resets = st.one_of(
    st.fixed_dictionaries(
        {"reset": st.sampled_from(["v_reset", "zero", "subtract", "none"]),
         "reset_time": st.just("now")}
    ),
    st.fixed_dictionaries(
        {"reset": st.just("subtract"), "reset_time": st.sampled_from(["next", "recheck"])}
    ),
    st.fixed_dictionaries(
        {"reset": st.sampled_from(["v_reset", "zero"]),
         "reset_time": st.sampled_from(["next", "next_all"])}
    ),
)  # fmt: skip
dtypes = st.sampled_from([np.float32, np.float64, np.float16])


@st.composite
def metadata_values(draw: Draw) -> Any:
    """One value that metadata can hold, in the form in which it comes back from a file."""
    array = np.arange(draw(st.integers(0, 4))).astype(draw(st.sampled_from("fdiBh?")))
    array.flags.writeable = False
    simple = st.one_of(texts, st.booleans(), st.integers(-(2**63), 2**63 - 1))
    number = st.floats(allow_nan=False)
    listed = st.lists(texts, min_size=1, max_size=3).map(tuple)
    return draw(st.one_of(simple, number, listed, st.just(array), st.just(np.float32(0.5))))


def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """A user's metadata dictionary, possibly nested."""
    inner = st.dictionaries(keys, metadata_values(), max_size=2)
    return st.dictionaries(keys, st.one_of(metadata_values(), inner), max_size=3)


class Maker:
    """Draws nodes; arrays come from one seeded generator, so that examples stay small."""

    def __init__(self, draw: Draw, delays: bool) -> None:
        self.draw, self.delays = draw, delays
        self.random = np.random.default_rng(draw(st.integers(0, 2**16)))

    def array(self, shape: Shape, low: float = -1.0, high: float = 1.0) -> np.ndarray:
        """Uniform values of a drawn dtype; half of the time all the same."""
        dtype = self.draw(dtypes) if low < 0 else self.draw(st.sampled_from([np.float32, float]))
        size = () if self.draw(st.booleans()) else shape
        return np.broadcast_to(self.random.uniform(low, high, size), shape).astype(dtype)

    def neuron(self, kind: type[Any], shape: Shape) -> Leaf:
        """A neuron node of `kind`; dt resolves its time constants."""
        wants = kind.__dataclass_fields__
        low = {"r": 0.5, "w_in": 0.5, "v_threshold": 0.5, "threshold": 0.25}
        tau = {k: self.array(shape, 4 * DT, 40 * DT) for k in wants if k.startswith("tau")}
        fields = {k: self.array(shape, v, v + 1.0) for k, v in low.items() if k in wants} | tau
        fields |= {k: self.array(shape, -0.2, 0.2) for k in ("v_leak", "v_reset") if k in wants}
        said: dict[str, Any] = {}
        if "compare" in wants:
            said["compare"] = self.draw(st.sampled_from(["gt", "ge"]))
        if "reset" in wants:
            said |= self.draw(resets)
            if said["reset_time"] == "now":
                said["refractory"] = self.draw(st.sampled_from([0.0, 0.0, 2 * DT]))
        return kind(**fields, **said)

    def linear(self, kind: type[Any], given: int, out: int) -> Leaf:
        """Linear or Affine from `given` to `out` elements, at times with synapse delays."""
        fields = {"weight": self.array((out, given))}
        if kind is Affine:
            fields["bias"] = self.array((out,))
        if self.delays and self.draw(st.integers(0, 3)) == 0:
            fields["delay"] = self.random.integers(0, 4, (out, given)).astype(np.int32)
        return kind(**fields)

    def conv(self, kind: type[Any], shape: Shape) -> Leaf:
        """A convolution of a map of `shape` that leaves at least one position."""
        axes = len(shape) - 1
        groups = self.draw(st.sampled_from([g for g in (1, shape[0]) if shape[0] % g == 0]))
        kernel = tuple(self.draw(st.integers(1, min(3, n))) for n in shape[1:])
        out = groups * self.draw(st.integers(1, 2))
        padding = self.draw(st.sampled_from(["same", "valid", 0, 1]))
        stride = 1 if padding == "same" else self.draw(st.integers(1, 2))
        dilation = 2 if padding == "same" and self.draw(st.booleans()) else 1
        window = {"stride": stride, "dilation": dilation, "padding": padding}
        if axes == 2:
            window = {k: v if isinstance(v, str) else (v, v) for k, v in window.items()}
        size = shape[1] if axes == 1 else shape[1:]
        return kind(
            input_shape=size if self.draw(st.booleans()) else None,
            weight=self.array((out, shape[0] // groups, *kernel)),
            bias=self.array((out,)),
            groups=groups,
            **window,
        )

    def stateless(self, kind: type[Any], shape: Shape) -> Leaf:
        """A stateless node of `kind` that takes `shape`."""
        if kind in (Linear, Affine):
            return self.linear(kind, shape[-1], self.draw(st.integers(1, 4)))
        if kind in (Conv1d, Conv2d):
            return self.conv(kind, shape)
        if kind in (SumPool2d, AvgPool2d):
            side = self.draw(st.integers(1, min(2, *shape[1:])))
            return kind((side, side), (side, side), (0, 0))
        if kind is Flatten:
            start = self.draw(st.integers(0, len(shape) - 1))
            return Flatten(shape if self.draw(st.booleans()) else None, start, -1)
        if kind is Delay:
            steps = self.random.integers(0, 3, shape)
            return Delay(steps * DT)
        return Scale(self.array(shape, 0.5, 1.5))

    def layer(self, shape: Shape) -> Leaf:
        """Any node that takes `shape`."""
        kinds: list[type[Any]] = [*NEURON_KINDS, Scale, Flatten]
        kinds += [Linear, Affine] if len(shape) == 1 else []
        kinds += [Delay] if self.delays else []
        kinds += {2: [Conv1d], 3: [Conv2d, SumPool2d, AvgPool2d]}.get(len(shape), [])
        kind = self.draw(st.sampled_from(kinds))
        neuron = kind in NEURON_KINDS
        return self.neuron(kind, shape) if neuron else self.stateless(kind, shape)


@st.composite
def graphs(
    draw: Draw,
    *,
    max_layers: int = 5,
    nested: bool = True,
    recurrent: bool = True,
    delays: bool = True,
    with_metadata: bool = True,
    settled: bool = False,
) -> Graph:
    """A random network of all node types: a chain with recurrent and skipping branches.

    `settled`: dt (1 ms, which resolves every time constant) and integrator are always given.
    Every delay of a Delay node is a whole number of steps.
    """
    maker = Maker(draw, delays)
    shapes = [(4,), (2, 5), (2, 5, 4), (1, 6, 6)]
    shape: Shape = draw(st.sampled_from(shapes))
    events = draw(st.sampled_from(["binary", "count"]))
    labels = draw(st.lists(names, min_size=max_layers + 2, max_size=max_layers + 2, unique=True))
    nodes: dict[str, Leaf | Graph] = {labels[0]: Input(shape, events)}
    edges: list[Edge] = []
    last = labels[0]
    for label in labels[1 : 1 + draw(st.integers(1, max_layers))]:
        made: Leaf | Graph = maker.layer(shape)
        if nested and draw(st.integers(0, 5)) == 0:
            made = _inner(maker, shape)
        assert takes(made, shape)
        nodes[label] = made
        steps = draw(st.sampled_from([None, None, 0, 2])) if delays else None
        edges.append(Edge(last, label, steps))
        shape, last = output_shape(made, shape), label
        if recurrent and isinstance(made, NEURON_KINDS) and len(shape) == 1 and draw(st.booleans()):
            nodes[f"{label} rec"] = maker.linear(Linear, shape[0], shape[0])
            back = draw(st.sampled_from([None, 1])) if delays else None
            edges += [Edge(label, f"{label} rec"), Edge(f"{label} rec", label, back)]
    nodes[labels[-1]] = Output(shape)
    edges.append(Edge(last, labels[-1]))
    said = settled or draw(st.booleans())
    return Graph(
        {n: _noted(draw, node, with_metadata) for n, node in nodes.items()},
        tuple(edges),
        dt=DT if said else None,
        integrator=draw(st.sampled_from(["euler", "exponential"])) if said else None,
        metadata=draw(metadata()) if with_metadata else {},
    )


def _noted(draw: Draw, node: Leaf | Graph, with_metadata: bool) -> Leaf | Graph:
    wanted = with_metadata and draw(st.integers(0, 3)) == 0
    return replace(node, metadata=draw(metadata())) if wanted else node


def _inner(maker: Maker, shape: Shape) -> Graph:
    """A nested graph that takes `shape`: one node between its ports."""
    made = maker.layer(shape)
    nodes = {"in": Input(shape), "layer.0": made, "out": Output(output_shape(made, shape))}
    return Graph(nodes, (Edge("in", "layer.0"), Edge("layer.0", "out")))
