"""split_avgpool: a mean over a window is a sum and a scale."""

import numpy as np

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import AvgPool2d, Input, Output, Scale, SumPool2d
from snnstack.passes.split_avgpool import split_avgpool


def test_an_average_pool_becomes_a_sum_pool_and_a_scale() -> None:
    before = Graph(
        nodes={
            "x": Input((1, 4, 6)),
            "pool": AvgPool2d((2, 3), (2, 3), (0, 0)),
            "y": Output((1, 2, 2)),
        },
        edges=(Edge("x", "pool"), Edge("pool", "y")),
    )

    after = split_avgpool(before)

    assert isinstance(after.nodes["pool"], SumPool2d)
    scale = after.nodes["pool.mean"]
    assert isinstance(scale, Scale)
    np.testing.assert_array_equal(scale.scale, np.full((1, 2, 2), 1 / 6))
    assert set(after.edges) == {
        Edge("x", "pool"),
        Edge("pool", "pool.mean"),
        Edge("pool.mean", "y"),
    }


def test_a_graph_without_average_pools_is_returned_as_it_is() -> None:
    graph = Graph(nodes={"x": Input((1,)), "y": Output((1,))}, edges=(Edge("x", "y"),))
    assert split_avgpool(graph) is graph
