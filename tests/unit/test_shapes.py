"""Shape inference agrees with torch's and NIR's rules, through loops and nested graphs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnstack.errors import ModelError
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import (
    IF,
    Conv1d,
    Conv2d,
    Flatten,
    Input,
    Leaf,
    Linear,
    Output,
    SumPool2d,
)
from snnstack.ir.shapes import conv_output, conv_padding, output_shapes, with_shapes
from tests.conftest import needed


def chain(*nodes: Leaf | Graph) -> Graph:
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    names = list(named)
    return Graph(named, tuple(Edge(a, b) for a, b in pairwise(names)))


def conv2d(**changes: object) -> Conv2d:
    values: dict[str, object] = {
        "input_shape": None,
        "weight": np.ones((4, 2, 3, 5)),
        "stride": (1, 1),
        "padding": (0, 0),
        "dilation": (1, 1),
        "groups": 1,
        "bias": np.zeros(4),
    }
    return Conv2d(**{**values, **changes})  # type: ignore[arg-type]


def fire(*shape: int) -> IF:
    return IF(np.ones(shape), np.zeros(shape), np.ones(shape))


@pytest.mark.parametrize(
    ("kernel", "dilation", "expected"),
    [(3, 1, (1, 1)), (4, 1, (1, 2)), (2, 3, (1, 2)), (1, 1, (0, 0))],
)
def test_same_puts_the_odd_zero_after(
    kernel: int, dilation: int, expected: tuple[int, int]
) -> None:
    assert conv_padding("same", kernel, dilation) == expected


def test_other_paddings_are_symmetric() -> None:
    assert conv_padding("valid", 5) == (0, 0)
    assert conv_padding(2, 5) == (2, 2)


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(1, 20),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 3), st.just("valid"), st.just("same")),
    dilation=st.integers(1, 3),
)
def test_conv_output_counts_the_positions_of_the_window(
    size: int, kernel: int, stride: int, padding: int | str, dilation: int
) -> None:
    before, after = conv_padding(padding, kernel, dilation)
    reach = dilation * (kernel - 1)
    starts = range(-before, size + after - reach, stride)
    assert max(conv_output(size, kernel, stride, padding, dilation), 0) == len(starts)


def test_same_keeps_the_length() -> None:
    assert conv_output(7, 4, 1, "same", 2) == 7


def test_a_chain_of_maps() -> None:
    pool = SumPool2d((2, 2), (2, 2), (0, 0))
    flat = Flatten(None, 0, -1)
    weight = Linear(np.ones((10, 4 * 4 * 3)))
    graph = chain(Input((2, 10, 10)), conv2d(), pool, flat, weight, Output((10,)))
    shapes = output_shapes(graph)
    assert list(shapes.values()) == [(2, 10, 10), (4, 8, 6), (4, 4, 3), (48,), (10,), (10,)]


def test_shapes_that_are_left_out_are_filled_in() -> None:
    flat = Flatten(None, 1, 2)
    short = Conv1d(None, np.ones((1, 4, 2)), 1, 0, 1, 1, np.zeros(1))
    graph = with_shapes(chain(Input((2, 10, 10)), conv2d(), flat, short))
    filled = [getattr(node, "input_shape", None) for node in graph.nodes.values()]
    assert filled == [None, (10, 10), (4, 8, 6), 48]


def test_groups_multiply_the_channels_taken() -> None:
    depthwise = conv2d(weight=np.ones((4, 1, 3, 3)), groups=4)
    assert output_shapes(chain(Input((4, 5, 5)), depthwise))["n1"] == (4, 3, 3)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, -1, (24,)), (1, -1, (2, 12)), (0, 1, (6, 4)), (-2, -1, (2, 12)), (1, 1, (2, 3, 4))],
)
def test_flatten_counts_axes_as_nir_does(start: int, end: int, expected: tuple[int, ...]) -> None:
    nir = pytest.importorskip("nir")
    theirs = nir.Flatten({"input": np.array([2, 3, 4])}, start, end).output_type["output"]
    assert tuple(theirs) == expected
    assert output_shapes(chain(Input((2, 3, 4)), Flatten(None, start, end)))["n1"] == expected


def test_a_loop_is_followed_to_its_fixed_point() -> None:
    back = Linear(np.ones((3, 3)))
    graph = chain(Input((3,)), fire(3), Output((3,))).with_()
    nodes = {**graph.nodes, "back": back}
    loop = (*graph.edges, Edge("n1", "back"), Edge("back", "n1"))
    assert output_shapes(graph.with_(nodes=nodes, edges=loop))["back"] == (3,)


def test_a_loop_without_a_neuron_still_ends() -> None:
    graph = chain(Input((3,)), Linear(np.ones((3, 3))), Linear(np.ones((3, 3))))
    graph = graph.with_(edges=(*graph.edges, Edge("n2", "n1")))
    assert output_shapes(graph) == {"n0": (3,), "n1": (3,), "n2": (3,)}


def test_a_nested_graph_has_the_shape_of_its_output() -> None:
    inner = chain(Input((2, 10, 10)), conv2d(), Output((4, 8, 6)))
    graph = with_shapes(chain(Input((2, 10, 10)), inner, fire(4, 8, 6)))
    nested = graph.nodes["n1"]
    assert isinstance(nested, Graph)
    assert getattr(nested.nodes["n1"], "input_shape") == (10, 10)  # noqa: B009
    assert output_shapes(graph)["n1"] == (4, 8, 6)


def test_a_weight_applies_to_the_last_axis() -> None:
    graph = chain(Input((5, 3)), Linear(np.ones((2, 3))))
    assert output_shapes(graph)["n1"] == (5, 2)


def test_a_stack_of_weights_keeps_its_leading_axes() -> None:
    graph = chain(Input((5, 3)), Linear(np.ones((5, 2, 3))))
    assert output_shapes(graph)["n1"] == (5, 2)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            chain(Input((3,)), fire(4)),
            "n0 -> n1: n0 gives [3] but n1 takes [4]",
        ),
        (
            chain(Input((2, 3)), Linear(np.ones((4, 6)))),
            "n0 -> n1: n0 gives [2, 3] but n1 takes [..., 6] (put a Flatten between them)",
        ),
        (
            chain(Input((3, 9, 9)), conv2d()),
            "n0 -> n1: n0 gives [3, 9, 9] but n1 takes [2, H, W]",
        ),
        (
            chain(Input((2, 9, 9)), conv2d(input_shape=(8, 8))),
            "n0 -> n1: n0 gives [2, 9, 9] but n1 takes [2, 8, 8]",
        ),
        (
            chain(Input((2, 2, 9)), conv2d()),
            "n1: its kernel [3, 5] does not fit into its input [2, 2, 9] "
            "(the output would be [4, 0, 5])",
        ),
        (
            chain(Input((9,)), Flatten(None, 1, -1)),
            "n1: start_dim 1 is not an axis of its input [9] "
            "(axes are counted without batch and time)",
        ),
        (
            Graph({"in": Input((3,)), "pool": SumPool2d((2, 2), (2, 2), (0, 0))}, ()),
            "pool: its shape cannot be determined (connect it to an input)",
        ),
        (
            chain(Input((2, 9, 9)), SumPool2d((2, 2), (2, 2), (0, 0)), Output((2, 4, 4))).with_(
                edges=(Edge("n0", "n1"), Edge("n2", "n1"))
            ),
            "n1: n0 gives [2, 9, 9] but n2 gives [2, 4, 4]; they are added "
            "(inputs of a node need one shape)",
        ),
    ],
)
def test_shapes_that_disagree_are_named(graph: Graph, message: str) -> None:
    with pytest.raises(ModelError) as error:
        output_shapes(graph)
    assert str(error.value) == message


@pytest.mark.parametrize("kind", ["conv1d", "conv2d"])
def test_padding_and_output_are_those_of_torch(kind: str) -> None:
    functional = pytest.importorskip("torch.nn.functional")
    torch = needed("torch")
    axes = int(kind[-2])
    for kernel, dilation, padding in [(3, 1, "same"), (4, 2, "same"), (3, 2, "valid"), (2, 1, 1)]:
        weight = torch.ones((1, 1, *[kernel] * axes))
        out = getattr(functional, kind)(
            torch.ones((1, 1, *[9] * axes)), weight, padding=padding, dilation=dilation
        )
        assert out.shape[2] == conv_output(9, kernel, 1, padding, dilation)
