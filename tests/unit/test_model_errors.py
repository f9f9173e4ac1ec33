"""A bad model file gives messages that name the file, the node and what to do."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import ModelError
from snnstack.frontends.nir import from_nir, read, to_nir, write
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LIF, Input, Linear, Output

h5py = pytest.importorskip("h5py")
nir = pytest.importorskip("nir")


def net() -> Graph:
    lif = LIF(*(np.full(3, value) for value in (0.01, 1.0, 0.0, 0.0, 1.0)))
    nodes = {"in": Input((3,)), "fc1": Linear(np.eye(3)), "lif1": lif, "out": Output((3,))}
    return Graph(nodes, (Edge("in", "fc1"), Edge("fc1", "lif1"), Edge("lif1", "out")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(net(), tmp_path / "net.nir")
    return tmp_path / "net.nir"


def refused(path: Path) -> str:
    """The message of the ModelError that reading gives, with the file's folder taken out."""
    with pytest.raises(ModelError) as error:
        read(path)
    return str(error.value).replace(f"{path.parent}{os.sep}", "")


def put(file: Any, name: str, value: Any) -> None:
    if name in file:
        del file[name]
    file[name] = value


def test_a_missing_file_lists_near_names(path: Path) -> None:
    message = refused(path.with_name("nett.nir"))
    assert message == "nett.nir: there is no such file (near names: net.nir)"


def test_a_directory_is_not_a_file(path: Path) -> None:
    path.with_name("folder").mkdir()
    assert refused(path.with_name("folder")) == "folder: it is a directory (name a .nir file)"


def test_an_empty_file(path: Path) -> None:
    path.write_bytes(b"")
    assert refused(path) == "net.nir: it is empty (export or download it again)"


def test_a_file_that_is_not_hdf5(path: Path) -> None:
    path.write_text("weights")
    assert refused(path) == "net.nir: it is not an HDF5 file (NIR models are HDF5 files)"


def test_a_truncated_file(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    expected = f"net.nir: it is cut short: 3000 of {len(whole)} bytes (copy or download it again)"
    assert refused(path) == expected


def test_every_truncation_is_one_message(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(1, len(whole), len(whole) // 23):
        path.write_bytes(whole[:size])
        assert refused(path).startswith("net.nir: it is ")


def test_damaged_bytes_never_give_another_error(path: Path) -> None:
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")  # HDF5 itself loops for ever on a damaged heap of text
    places = [at for at in range(len(whole)) if not heap <= at < heap + 4096]
    random = np.random.default_rng(1)
    for _ in range(60):
        broken = bytearray(whole)
        for at in random.choice(places, 20):
            broken[at] = random.integers(256)
        path.write_bytes(broken)
        try:
            read(path)
        except ModelError as error:
            assert all(problem.where.startswith(str(path)) for problem in error.problems)


def test_a_foreign_hdf5_file(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["model_weights/dense"] = np.ones(3)
        file["optimizer"] = 1
    assert refused(path) == (
        "net.nir: it is an HDF5 file but not a NIR model: it has no group 'node' "
        "(it holds 'model_weights', 'optimizer')"
    )


SUPPORTED = (
    "supported: Affine, AvgPool2d, Conv1d, Conv2d, CubaLI, CubaLIF, Delay, Flatten, I, IF, "
    "Input, LI, LIF, Linear, Output, Scale, SumPool2d, Threshold, NIRGraph"
)
LIF_HAS = "LIF has: tau, r, v_leak, v_threshold, v_reset"
LIF1 = "node/nodes/lif1"
AGAIN = "export the model again"

CASES: list[tuple[str, Callable[[Any], None], str]] = [
    (
        "unknown type",
        lambda f: put(f, f"{LIF1}/type", "AdLIF"),
        f"net.nir: lif1: unknown node type 'AdLIF' ({SUPPORTED})",
    ),
    (
        "no type",
        lambda f: f.__delitem__(f"{LIF1}/type"),
        f"net.nir: lif1: it has no type ({SUPPORTED})",
    ),
    (
        "missing parameter",
        lambda f: f.__delitem__(f"{LIF1}/tau"),
        f"net.nir: lif1: parameter 'tau' of LIF is missing ({LIF_HAS})",
    ),
    (
        "unknown parameter",
        lambda f: put(f, f"{LIF1}/v_thresh", np.ones(3)),
        "net.nir: lif1: LIF has no parameter 'v_thresh' (near names: v_threshold, v_reset)",
    ),
    (
        "NaN",
        lambda f: put(f, f"{LIF1}/tau", np.array([0.1, np.nan, np.inf])),
        "net.nir: lif1: tau has 2 of 3 values NaN or infinite, first NaN at [1] "
        "(export the model again after checking its training)",
    ),
    (
        "text instead of numbers",
        lambda f: put(f, f"{LIF1}/tau", "ten"),
        f"net.nir: lif1: parameter 'tau' holds text, not numbers ({AGAIN})",
    ),
    (
        "pickled data",
        lambda f: put(f, f"{LIF1}/tau", np.void(pickle.dumps([1, 2]))),
        "net.nir: /node/nodes/lif1/tau holds opaque bytes (pickled data?), not numbers or text "
        "(export the model again with plain numbers)",
    ),
    (
        "references",
        lambda f: put(f, f"{LIF1}/tau", f["node"].ref),
        "net.nir: /node/nodes/lif1/tau holds objects or references, not numbers or text "
        "(export the model again with plain numbers)",
    ),
    (
        "an empty data set",
        lambda f: put(f, f"{LIF1}/tau", h5py.Empty("f")),
        "net.nir: /node/nodes/lif1/tau is an empty data set "
        "(export the model again with plain numbers)",
    ),
    (
        "a link to elsewhere",
        lambda f: put(f, f"{LIF1}/tau", h5py.ExternalLink("/etc/passwd", "/")),
        "net.nir: /node/nodes/lif1/tau is a link to elsewhere, not data "
        "(store the data in the file)",
    ),
    (
        "dangling edge",
        lambda f: put(f, "node/edges", [["in", "fc1"], ["fc1", "lif2"], ["lif1", "out"]]),
        "net.nir: fc1 -> lif2: there is no node 'lif2' (near names: lif1)\n"
        "net.nir: lif1: no path leads to it from an input (connect it or remove it)\n"
        "net.nir: out: no path leads to it from an input (connect it or remove it)",
    ),
    (
        "a shape without axes",
        lambda f: put(f, "node/nodes/in/shape", np.zeros(0, dtype=int)),
        "net.nir: in: its shape is [], which has no axes "
        "(write the shape of one step of one sample, such as [12])",
    ),
    (
        "a shape that is not whole",
        lambda f: put(f, "node/nodes/in/shape", np.array([2.5])),
        f"net.nir: in: parameter 'shape' is [2.5], not whole numbers ({AGAIN})",
    ),
    (
        "no nodes",
        lambda f: f.__delitem__("node/nodes"),
        f"net.nir: graph: it has no group 'nodes' ({AGAIN})",
    ),
    (
        "edges that are not pairs",
        lambda f: put(f, "node/edges", [["in", "fc1", "lif1"]]),
        f"net.nir: graph: edge ('in', 'fc1', 'lif1') is not a pair of node names ({AGAIN})",
    ),
    (
        "a newer version",
        lambda f: put(f, "node/metadata/snnstack/version", 2),
        "net.nir: graph: its snnstack metadata has version 2, this snnstack reads 1 "
        "(update snnstack)",
    ),
    (
        "a reset that does not exist",
        lambda f: put(f, f"{LIF1}/metadata/snnstack/reset", "hard"),
        "net.nir: lif1: reset is 'hard' (one of: v_reset, zero, subtract, none)",
    ),
    (
        "a dt that is no number",
        lambda f: put(f, "node/metadata/snnstack/dt", "1 ms"),
        "net.nir: graph: metadata 'snnstack' says dt '1 ms' (dt is a number)",
    ),
    (
        "edge delays that do not fit",
        lambda f: put(f, "node/metadata/snnstack/edges/delay", [1, 2]),
        "net.nir: graph: the edge delays in its snnstack metadata are not readable "
        "(lists source, target, delay, port of one length)",
    ),
    (
        "snnstack metadata of another kind",
        lambda f: put(f, f"{LIF1}/metadata/snnstack", "subtract"),
        "net.nir: lif1: metadata 'snnstack' is not a dictionary (remove it)",
    ),
    (
        "a single node",
        lambda f: put(f, "node/type", "LIF"),
        "net.nir: graph: it holds a single node of type LIF, not a network "
        "(wrap it in a NIRGraph with an Input and an Output)",
    ),
]


@pytest.mark.parametrize(("change", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_bad_file_is_refused(path: Path, change: Callable[[Any], None], message: str) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    assert refused(path) == message


def test_all_problems_of_a_file_are_reported_at_once(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        put(file, f"{LIF1}/type", "AdLIF")
        del file["node/nodes/fc1/weight"]
        put(file, "node/nodes/in/shape", "three")
    assert refused(path) == (
        "net.nir: fc1: parameter 'weight' of Linear is missing (Linear has: weight)\n"
        "net.nir: in: parameter 'shape' holds text, not numbers (export the model again)\n"
        f"net.nir: lif1: unknown node type 'AdLIF' ({SUPPORTED})"
    )


def test_a_nested_node_is_named_with_its_graph(path: Path) -> None:
    outer = Graph({"in": Input((3,)), "block": net(), "out": Output((3,))}, ())
    outer = outer.with_(edges=(Edge("in", "block"), Edge("block", "out")))
    write(outer, path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/block/nodes/lif1/tau"]
    expected = f"net.nir: block: lif1: parameter 'tau' of LIF is missing ({LIF_HAS})"
    assert refused(path) == expected


def test_links_that_lead_back_are_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["node/metadata/loop"] = file["node"]
    assert "is nested more than 40 deep" in refused(path)


def test_a_nir_graph_in_memory_gives_the_same_messages() -> None:
    theirs = to_nir(net())
    theirs.nodes["lif1"].tau = np.array([None, 1, 2], dtype=object)
    theirs.edges.append(("lif1", "nowhere"))
    with pytest.raises(ModelError) as error:
        from_nir(theirs)
    expected = "lif1: parameter 'tau' holds object values, not numbers (export the model again)"
    assert str(error.value) == expected


def test_an_object_that_is_no_nir_graph_is_refused() -> None:
    with pytest.raises(ModelError) as error:
        from_nir(nir.Linear(np.eye(2)))
    assert str(error.value) == (
        "graph: it holds a single node of type Linear, not a network "
        "(wrap it in a NIRGraph with an Input and an Output)"
    )


def test_names_that_hdf5_cannot_hold_are_refused(tmp_path: Path) -> None:
    graph = Graph({"in/1": Input((3,)), "out": Output((3,), {"a/b": 1})}, (Edge("in/1", "out"),))
    with pytest.raises(ModelError) as error:
        write(graph, tmp_path / "net.nir")
    assert str(error.value) == (
        "in/1: the name 'in/1' cannot stand in a NIR file "
        "(names are not empty, not '.', and without '/' and NUL)\n"
        "out: the metadata key 'a/b' cannot stand in a NIR file "
        "(keys are not empty, not '.', and without '/' and NUL)"
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "'k' is of type NoneType, which a file cannot hold"),
        ({"deep": 2**70}, f"'k.deep' is {2**70}, which does not fit 64 bits"),
        ([1, "a"], "'k' holds text, not numbers"),
        (1j, "'k' is of type complex, which a file cannot hold"),
        ("a\0b", "'k' is text with a NUL character, which a file cannot hold"),
    ],
)
def test_metadata_that_a_file_cannot_hold_is_refused(value: Any, what: str) -> None:
    with pytest.raises(ModelError) as error:
        to_nir(net().with_(metadata={"k": value}))
    assert str(error.value) == f"graph: metadata {what} (remove it)"


def test_writing_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        write(net(), tmp_path / "no" / "net.nir")
    where, folder = tmp_path / "no" / "net.nir", tmp_path / "no"
    assert str(error.value) == f"{where}: there is no directory '{folder}' (create it)"
