"""NIR models come in and go out without loss, in memory and through files."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from snnstack.errors import ModelError
from snnstack.frontends.nir import from_nir, read, to_nir, write
from snnstack.ir.check import problems
from snnstack.ir.graph import Edge, Graph, same
from snnstack.ir.nodes import (
    LIF,
    AvgPool2d,
    Conv1d,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    Output,
    Scale,
)
from snnstack.ir.shapes import output_shapes, with_shapes
from tests.strategies import graphs

nir = pytest.importorskip("nir")

REAL = [
    "braille_noDelay_bias_zero.nir",
    "braille_noDelay_noBias_subtract.nir",
    "cnn_sinabs.nir",
    "lif_norse.nir",
]
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def chain(*nodes: Any, size: tuple[int, ...] = (3,), out: tuple[int, ...] = (3,)) -> Graph:
    """Input, the nodes `n0`, `n1`, ... and Output, one after the other."""
    named = {"in": Input(size), **{f"n{i}": n for i, n in enumerate(nodes)}, "out": Output(out)}
    names = list(named)
    return Graph(named, tuple(Edge(a, b) for a, b in pairwise(names)))


def lif(**changes: Any) -> LIF:
    values: dict[str, Any] = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_reset": 0.0}
    arrays = {key: np.full(3, value) for key, value in {**values, "v_threshold": 1.0}.items()}
    return LIF(**{**arrays, **changes})


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(graph=graphs())
def test_a_graph_survives_nir_in_memory(graph: Graph) -> None:
    back = from_nir(to_nir(graph))
    assert same(back.with_(settings={}), graph)
    assert same(from_nir(to_nir(back)), back)


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(graph=graphs())
def test_a_graph_survives_a_file(graph: Graph, tmp_path: Path) -> None:
    write(graph, tmp_path / "net.nir")
    back = read(tmp_path / "net.nir")
    assert same(back.with_(settings={}), with_shapes(graph))
    write(back, tmp_path / "again.nir")
    assert same(read(tmp_path / "again.nir"), back)


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(graph=graphs(nested=False))
def test_nirs_own_reader_gives_the_same_graph(graph: Graph, tmp_path: Path) -> None:
    write(graph, tmp_path / "net.nir")
    theirs = nir.read(tmp_path / "net.nir", type_check=False)
    assert same(from_nir(theirs), _w_in_like_threshold(read(tmp_path / "net.nir")))


def _w_in_like_threshold(graph: Graph) -> Graph:
    """NIR's reader widens `w_in` to the dtype of the parameter that gives the shape."""

    def widened(node: Any) -> Any:
        if not hasattr(node, "w_in"):
            return node
        like = getattr(node, "v_threshold", node.v_leak)
        return replace(node, w_in=np.ones_like(like) * node.w_in)

    return graph.with_(nodes={name: widened(node) for name, node in graph.nodes.items()})


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(graph=graphs())
def test_random_graphs_keep_every_rule(graph: Graph) -> None:
    assert problems(graph) == []


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_real_files_load_and_round_trip(name: str, data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "nir" / name
    graph = read(path)
    assert problems(graph) == []
    assert not graph.settings and graph.dt is None
    assert same(from_nir(nir.read(path, type_check=False)), graph)
    write(graph, tmp_path / name)
    assert same(read(tmp_path / name), graph)
    assert nir.read(tmp_path / name).metadata == {}
    assert same(from_nir(to_nir(graph)), graph)


@pytest.mark.data
def test_the_convolutional_file_has_the_shapes_of_its_neurons(data_dir: Path) -> None:
    shapes = output_shapes(read(data_dir / "nir" / "cnn_sinabs.nir"))
    assert shapes["0"] == (16, 16, 16) and shapes["4"] == (16, 8, 8) and shapes["8"] == (128,)


@pytest.mark.data
def test_recurrent_edges_have_no_delay_of_their_own(data_dir: Path) -> None:
    graph = read(data_dir / "nir" / "braille_noDelay_bias_zero.nir")
    assert Edge("lif1.w_rec", "lif1.lif", None) in graph.edges


def test_what_nir_cannot_say_is_metadata(tmp_path: Path) -> None:
    delay = np.array([[0, 1, 2]] * 3, dtype=np.int64)
    graph = chain(Linear(np.eye(3), delay), lif(reset="subtract", refractory=0.002))
    graph = graph.with_(dt=0.001, integrator="exponential")
    graph = graph.with_(edges=(*graph.edges[:-1], Edge("n1", "out", 2)))
    write(graph, tmp_path / "net.nir")
    theirs = nir.read(tmp_path / "net.nir")
    assert theirs.nodes["n1"].metadata == {"snnstack": {"reset": "subtract", "refractory": 0.002}}
    assert theirs.nodes["n0"].metadata["snnstack"]["delay"].tolist() == delay.tolist()
    said = theirs.metadata["snnstack"]
    assert (said["version"], said["dt"], said["integrator"]) == (1, 0.001, "exponential")
    assert said["edges"]["delay"].tolist() == [2]
    back = read(tmp_path / "net.nir")
    assert same(back.with_(settings={}), graph)
    assert back.settings == {"dt": "file", "integrator": "file", "reset": "file"}


def test_a_choice_of_the_user_is_written_even_where_it_is_the_default() -> None:
    graph = chain(lif()).with_(settings={"reset": "option", "compare": "default"})
    made = to_nir(graph)
    assert made.nodes["n0"].metadata == {"snnstack": {"reset": "v_reset"}}
    assert from_nir(made).settings == {"reset": "file"}


def test_a_foreign_graph_stays_foreign() -> None:
    made = to_nir(chain(lif()))
    assert made.metadata == {} and made.nodes["n0"].metadata == {}


def test_unknown_snnstack_metadata_is_kept() -> None:
    made = to_nir(chain(lif(reset="zero")))
    made.nodes["n0"].metadata["snnstack"]["colour"] = "red"
    graph = from_nir(made)
    assert graph.nodes["n0"].metadata == {"snnstack": {"colour": "red"}}
    assert same(from_nir(to_nir(graph)), graph)


def test_two_edges_between_the_same_nodes_survive(tmp_path: Path) -> None:
    graph = chain(lif())
    graph = graph.with_(edges=(*graph.edges, Edge("in", "n0", 3)))
    write(graph, tmp_path / "net.nir")
    assert same(read(tmp_path / "net.nir").with_(settings={}), graph)
    assert len(nir.read(tmp_path / "net.nir").edges) == 2


def test_the_callers_nir_graph_is_not_changed() -> None:
    nodes = {"a": nir.Linear(np.eye(2)), "b": nir.Input(np.array([2])), "c": nir.Output([2])}
    theirs = nir.NIRGraph(nodes, [("b", "a"), ("a", "c")], {"k": {"n": 1}}, type_check=False)
    before = copy.deepcopy(theirs.to_dict())
    graph = from_nir(theirs)
    after = theirs.to_dict()
    assert str(before) == str(after)
    theirs.nodes["a"].weight[0, 0] = 5
    assert graph.nodes["a"].weight[0, 0] == 1


def test_a_grouped_convolution_takes_all_its_channels() -> None:
    conv = Conv2d((5, 5), np.ones((4, 1, 3, 3)), (1, 1), "same", (1, 1), 4, np.zeros(4))
    graph = chain(conv, size=(4, 5, 5), out=(4, 5, 5))
    assert problems(graph) == [] and same(from_nir(to_nir(graph)), graph)


def test_numpy_scalars_become_python_ints() -> None:
    one = np.int64(1)
    weight, bias = np.ones((1, 1, 3)), np.zeros(1)
    conv = nir.Conv1d(np.int64(5), weight, np.array([1]), one, one, one, bias)
    ends = {"in": nir.Input(np.array([1, 5])), "out": nir.Output(np.array([1, 5]))}
    theirs = nir.NIRGraph({**ends, "c": conv}, [("in", "c"), ("c", "out")], type_check=False)
    node = from_nir(theirs).nodes["c"]
    assert isinstance(node, Conv1d)
    values = (node.input_shape, node.stride, node.padding, node.dilation, node.groups)
    assert values == (5, 1, 1, 1, 1) and all(type(value) is int for value in values)


def test_a_mixed_dtype_is_kept(tmp_path: Path) -> None:
    ones, narrow = np.ones(3), np.ones(3, dtype=np.float32)
    node = CubaLIF(ones, ones, narrow, ones, 0 * ones, ones, narrow)
    write(chain(node), tmp_path / "net.nir")
    assert same(read(tmp_path / "net.nir"), chain(node))


def test_a_scalar_parameter_is_kept(tmp_path: Path) -> None:
    graph = chain(Scale(np.array(2.0, dtype=np.float32)), Delay(np.array(0.001)))
    write(graph, tmp_path / "net.nir")
    assert same(read(tmp_path / "net.nir"), graph)


def test_metadata_of_every_node_survives(tmp_path: Path) -> None:
    pool = AvgPool2d((2, 2), (2, 2), (0, 0), {"unit": {"of": "volt", "values": ("a", "ü")}})
    flat = Flatten((1, 2, 2), 0, -1, {"by": "hand", "n": 3, "f": 0.5, "yes": True})
    graph = chain(pool, flat, size=(1, 4, 4), out=(4,))
    write(graph, tmp_path / "net.nir")
    assert same(read(tmp_path / "net.nir"), graph)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write(chain(lif()), tmp_path / "net.nir")
    before = (tmp_path / "net.nir").read_bytes()
    with pytest.raises(ModelError):
        write(chain(lif(), size=(4,)), tmp_path / "net.nir")
    assert (tmp_path / "net.nir").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.nir"]
