"""timing: which edges act in the same step."""

import pytest

from snnstack.errors import ModelError
from snnstack.passes.timing import distances, same_step, update_order


def test_feed_forward_edges_act_in_the_same_step_and_loops_close_a_step_later() -> None:
    pairs = [("x", "a"), ("a", "b"), ("b", "a"), ("a", "a"), ("b", "c")]
    assert same_step(["x"], ["c"], pairs, []) == {("x", "a"), ("a", "b"), ("b", "c")}


def test_skip_connections_act_in_the_same_step() -> None:
    pairs = [("x", "a"), ("a", "b"), ("b", "c"), ("a", "c")]
    assert same_step(["x"], ["c"], pairs, []) == set(pairs)


def test_feedback_past_a_skip_connection_is_still_the_recurrent_edge() -> None:
    pairs = [("x", "a"), ("a", "b"), ("b", "c"), ("x", "c"), ("c", "a")]
    assert same_step(["x"], ["c"], pairs, []) == set(pairs) - {("c", "a")}


def test_an_explicit_same_step_edge_makes_the_opposite_one_recurrent() -> None:
    pairs = [("x", "a"), ("a", "b")]
    assert same_step(["x"], ["b"], pairs, [("b", "a")]) == {("x", "a")}


def test_the_update_order_follows_same_step_edges() -> None:
    now = [("x", "a"), ("a", "b"), ("c", "b"), ("x", "c")]
    far = distances(["x"], now)
    assert update_order(["b", "c", "a"], now, far) == ["a", "c", "b"]


def test_a_loop_in_one_step_is_named() -> None:
    with pytest.raises(ModelError) as caught:
        update_order(["a", "b"], [("a", "b"), ("b", "a")], {})
    assert str(caught.value) == (
        "graph: populations act on each other in the same step: a -> b -> a "
        "(give one edge of the loop a delay of 1 step)"
    )
