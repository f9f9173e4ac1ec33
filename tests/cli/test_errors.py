"""Bad models, data and programs: one clear message each, exit code 1, no traceback."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnstack.frontends.nir import write
from snnstack.ir.graph import Edge
from snnstack.ir.nodes import Linear
from snnstack.program import digest
from tests.cli.calls import Refused, Run, small


def put(path: Path, **values: Any) -> None:
    """Replace data sets of nodes: `fc__weight=...`."""
    with h5py.File(path, "r+") as file:
        for key, value in values.items():
            name = f"node/nodes/{key.replace('__', '/')}"
            del file[name]
            file[name] = value


def looped(delay: int | None) -> Any:
    graph = small()
    edges = (Edge("lif", "rec", delay), Edge("rec", "lif", 0))
    nodes = {**graph.nodes, "rec": Linear(np.eye(4))}
    return graph.with_(nodes=nodes, edges=graph.edges + edges)


def test_a_model_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    assert refused("info", tmp_path / "a.nir") == "error: a.nir: there is no such file"


def test_a_directory_is_no_model(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    assert refused("info", tmp_path / "dir") == "error: dir: it is a directory (name a .nir file)"


def test_a_truncated_model(refused: Refused, model: Path) -> None:
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    assert refused("info", model) == (
        f"error: small.nir: it is cut short: {len(whole) // 2} of {len(whole)} bytes "
        "(copy or download it again)"
    )


def test_foreign_models(refused: Refused, model: Path, tmp_path: Path) -> None:
    model.write_bytes(b"")
    assert refused("info", model) == ("error: small.nir: it is empty (export or download it again)")
    model.write_text("weights")
    assert refused("info", model) == (
        "error: small.nir: it is not an HDF5 file (NIR models are HDF5 files)"
    )
    with h5py.File(model, "w") as file:
        file["layer"] = 1
    assert refused("info", model) == (
        "error: small.nir: it is an HDF5 file but not a NIR model: "
        "it has no group 'node' (it holds 'layer')"
    )
    (tmp_path / "model.pth").write_text("")
    assert refused("info", tmp_path / "model.pth") == (
        "error: model.pth: unknown kind of model file '.pth' (give a .nir or .onnx file)"
    )


def test_a_shape_mismatch_names_both_nodes_and_both_shapes(refused: Refused, model: Path) -> None:
    put(model, fc__weight=np.ones((4, 5)))
    assert refused("info", model) == "error: in -> fc: in gives [3] but fc takes [..., 5]"


@pytest.mark.parametrize("verb", ["info", "compile", "bench"])
def test_all_problems_of_a_network_are_listed(
    refused: Refused, model: Path, data: Path, tmp_path: Path, verb: str
) -> None:
    put(model, fc__weight=np.ones((4, 5)), lif__tau=-np.ones(4))
    more: dict[str, tuple[object, ...]] = {
        "info": (),
        "compile": ("--board", "microbit-v1", "-o", tmp_path / "p"),
        "bench": ("--board", "microbit-v1", "--data", data),
    }
    assert refused(verb, model, *more[verb]) == (
        "error: in -> fc: in gives [3] but fc takes [..., 5]\n"
        "error: lif: tau[0] is -1 (4 of 4 are wrong) (seconds, above 0)"
    )


def test_a_dangling_edge(refused: Refused, model: Path) -> None:
    with h5py.File(model, "r+") as file:
        edges = [[end.decode() for end in pair] for pair in file["node/edges"][()]]
        del file["node/edges"]
        file["node/edges"] = [*edges, ["lif", "lif2"]]
    assert refused("info", model) == (
        "error: small.nir: lif -> lif2: there is no node 'lif2' (near names: lif)"
    )


def test_a_loop_without_delay(refused: Refused, tmp_path: Path) -> None:
    write(looped(0), tmp_path / "loop.nir")
    message = refused("info", tmp_path / "loop.nir")
    assert message.startswith("error: graph: the loop lif -> ")
    assert message.endswith(
        "has delay 0 all the way round (give one of its edges a delay of 1 step or none)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": 0.0}, "lif: tau[0] is 0 (4 of 4 are wrong) (seconds, above 0)"),
        (
            {"tau": 5e-4},
            "lif: tau[0] is 0.0005 (4 of 4 are wrong) "
            "(dt is 0.001 s: choose a smaller dt or the exponential integrator)",
        ),
        (
            {"r": np.nan},
            "bad.nir: lif: r has 4 of 4 values NaN or infinite, first NaN at [0] "
            "(export the model again after checking its training)",
        ),
        (
            {"tau": np.inf},
            "bad.nir: lif: tau has 4 of 4 values NaN or infinite, first inf at [0] "
            "(export the model again after checking its training)",
        ),
    ],
    ids=["tau 0", "dt above tau", "NaN", "infinite"],
)
def test_bad_parameters(
    refused: Refused, tmp_path: Path, change: dict[str, float], message: str
) -> None:
    write(small(**change), tmp_path / "bad.nir")
    assert refused("info", tmp_path / "bad.nir") == f"error: {message}"


def test_an_unknown_node_type(refused: Refused, model: Path) -> None:
    put(model, lif__type="AdEx")
    message = refused("info", model)
    assert message.startswith("error: small.nir: lif: unknown node type 'AdEx' (supported: ")


NEEDS = "give an .npz with x [sample, step, *input shape] and y [sample]"
X = np.zeros((5, 10, 3), np.uint8)
OUTSIDE = "x has 150 values outside the input type 'binary' (0 or 1), first"
OBJECTS = "holds Python objects, not numbers; they are never unpickled"
DATA: list[tuple[str, dict[str, Any], str]] = [
    ("no x", {"a": X}, f"holds a, but no x ({NEEDS})"),
    ("axes", {"x": X[0]}, "x has shape [10, 3], input 'in' needs [sample, step, 3] "
     "(an encoder adds the steps: ?encode=even&steps=32)"),
    ("scalar", {"x": 3}, "x has shape [], input 'in' needs [sample, step, 3]"),
    ("shape", {"x": np.zeros((5, 10, 4))},
     "x has shape [5, 10, 4], input 'in' needs [sample, step, 3]"),
    ("fraction", {"x": X + 0.5}, f"{OUTSIDE} 0.5 at [0, 0, 0] (encode x as spikes)"),
    ("negative", {"x": X - np.int64(1)}, f"{OUTSIDE} -1 at [0, 0, 0] (encode x as spikes)"),
    ("large", {"x": X + np.uint16(300)}, f"{OUTSIDE} 300 at [0, 0, 0] (encode x as spikes)"),
    ("counts", {"x": X + 2}, f"{OUTSIDE} 2 at [0, 0, 0] (compile with --events count)"),
    ("NaN", {"x": X * np.nan}, f"{OUTSIDE} nan at [0, 0, 0] (encode x as spikes)"),
    ("text", {"x": X.astype(str)}, "x holds <U3, not numbers"),
    ("complex", {"x": X * 1j}, "x holds complex128, not numbers"),
    ("no samples", {"x": X[:0]}, "x has shape [0, 10, 3]: no samples"),
    ("no steps", {"x": X[:, :0]}, "x has shape [5, 0, 3]: no steps"),
    ("objects", {"x": np.array([1, None])}, f"x {OBJECTS} ({NEEDS})"),
    ("y objects", {"x": X, "y": np.array([None] * 5)}, f"y {OBJECTS} ({NEEDS})"),
    ("y length", {"x": X, "y": [1, 2]}, "y has shape [2], but x has 5 samples (y needs shape [5])"),
    ("y type", {"x": X, "y": np.ones(5)},
     "y holds float64, not class numbers from 0 (store integers)"),
    ("y negative", {"x": X, "y": [0, -1, 0, 0, 0]}, "y has the class -1, classes count from 0"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "message"), [c[1:] for c in DATA], ids=[c[0] for c in DATA])
def test_bad_data(
    refused: Refused, program: Path, tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    found = refused("emulate", program, "--data", tmp_path / "bad.npz")
    assert found == f"error: bad.npz: {message}"


def test_all_problems_of_the_data_are_listed(
    refused: Refused, program: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "bad.npz", x=X + 2, y=[1])
    assert refused("verify", program, "--data", tmp_path / "bad.npz") == (
        f"error: bad.npz: {OUTSIDE} 2 at [0, 0, 0] (compile with --events count)\n"
        "error: bad.npz: y has shape [1], but x has 5 samples (y needs shape [5])"
    )


def test_a_count_above_255_is_outside_every_input_type(
    run: Run, refused: Refused, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p"
    run("compile", model, "--board", "microbit-v1", "--events", "count", "-o", out)
    np.savez(tmp_path / "bad.npz", x=X + np.uint16(256))
    assert refused("emulate", out, "--data", tmp_path / "bad.npz") == (
        "error: bad.npz: x has 150 values outside the input type 'count' (integers 0..255), "
        "first 256 at [0, 0, 0] (encode x as spikes)"
    )


def test_data_that_is_no_npz(refused: Refused, program: Path, data: Path, tmp_path: Path) -> None:
    def message(content: bytes) -> str:
        (tmp_path / "bad.npz").write_bytes(content)
        return refused("emulate", program, "--data", tmp_path / "bad.npz")

    whole = data.read_bytes()
    assert message(whole[: len(whole) // 2]) == (
        f"error: bad.npz: is cut short or damaged: File is not a zip file ({NEEDS})"
    )
    assert message(b"") == f"error: bad.npz: is empty ({NEEDS})"
    assert message(b"hello") == f"error: bad.npz: is not an .npz file ({NEEDS})"
    assert message(pickle.dumps(print)) == f"error: bad.npz: is not an .npz file ({NEEDS})"
    np.save(tmp_path / "one.npy", X)
    assert refused("emulate", program, "--data", tmp_path / "one.npy") == (
        f"error: one.npy: is a single array, not an .npz ({NEEDS})"
    )
    assert refused("emulate", program, "--data", tmp_path / "no.npz") == (
        f"error: no.npz: there is no such file ({NEEDS})"
    )


def test_damaged_data_never_gives_another_error(
    refused: Refused, program: Path, tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / "bad.npz", x=X, y=np.arange(5))
    whole, random = (tmp_path / "bad.npz").read_bytes(), np.random.default_rng(0)
    for _ in range(40):
        broken = bytearray(whole)
        for at in random.integers(0, len(whole), 30):
            broken[at] = random.integers(256)
        (tmp_path / "bad.npz").write_bytes(broken)
        message = refused("emulate", program, "--data", tmp_path / "bad.npz")
        assert message.startswith("error: bad.npz: "), message


AGAIN = "(compile the model again)"
TAMPERED: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("no data", "program.npz", Path.unlink, f"p/program.npz: is missing {AGAIN}"),
    ("no manifest", "manifest.json", Path.unlink,
     "p: has no manifest.json (give a directory made by `snnstack compile`)"),
    ("cut manifest", "manifest.json", lambda f: f.write_text("{"),
     f"p/manifest.json: is not a program's manifest {AGAIN}"),
    ("list", "manifest.json", lambda f: f.write_text("[]"),
     f"p/manifest.json: is not a program's manifest {AGAIN}"),
    ("target", "manifest.json", lambda f: f.write_text(f.read_text().replace('"mcu"', '"mcx"')),
     "p/manifest.json: target 'mcx' is not installed (installed: mcu)"),
    ("C text", "src/small.c", lambda f: f.write_text(f.read_text() + "\n"),
     f"p/src/small.c: is not as `snnstack compile` wrote it {AGAIN}"),
    ("weights", "network.npz", lambda f: f.write_bytes(b"PK"),
     f"p/network.npz: is not as `snnstack compile` wrote it {AGAIN}"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "message"), [c[1:] for c in TAMPERED], ids=[c[0] for c in TAMPERED]
)
@pytest.mark.parametrize("verb", ["emulate", "verify"])
def test_a_program_that_was_tampered_with(
    refused: Refused, program: Path, data: Path, tmp_path: Path,
    verb: str, name: str, change: Callable[[Path], object], message: str,
) -> None:  # fmt: skip
    copy = tmp_path / "p"
    shutil.copytree(program, copy)
    change(copy / name)
    known = message.replace("installed: mcu", _installed())
    assert refused(verb, copy, "--data", data) == f"error: {known}"


def _installed() -> str:
    from snnstack.target import target_names

    return f"installed: {', '.join(target_names())}"


@pytest.mark.parametrize("content", [b"{", b"{}", b"[1]", b'{"$kind": "Board"}', b"\xff"])
@pytest.mark.parametrize("name", ["program.json", "network.json"])
def test_malformed_programs_with_the_right_digest(
    refused: Refused, program: Path, data: Path, name: str, content: bytes
) -> None:
    (program / name).write_bytes(content)
    manifest = json.loads((program / "manifest.json").read_text())
    manifest["files"][name] = digest({name: content})
    (program / "manifest.json").write_text(json.dumps(manifest))
    message = refused("emulate", program, "--data", data)
    assert message.startswith(f"error: {name}: is malformed: "), message
    assert message.endswith(AGAIN)


def test_files_that_were_added_do_not_matter(run: Run, program: Path, data: Path) -> None:
    (program / "build").mkdir()
    (program / "build" / "notes.txt").write_text("mine")
    assert run("emulate", program, "--data", data).code == 0


def test_debug_shows_where(run: Run, tmp_path: Path) -> None:
    from snnstack.cli import main
    from snnstack.errors import ModelError

    with pytest.raises(ModelError, match="there is no such file"):
        main(["info", str(tmp_path / "a.nir"), "--debug"])


def test_a_mistake_of_ours_is_said_to_be_ours(
    refused: Refused, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **more: object) -> None:
        raise KeyError("tau")

    monkeypatch.setattr("snnstack.loading.load", broken)
    assert refused("info", model) == (
        "error: snnstack itself failed: KeyError: 'tau' (--debug shows where; please report it)"
    )


USAGE: list[tuple[tuple[str, ...], str]] = [
    (("frob",), "Error: No such command 'frob'."),
    (("compile",), "Error: Missing argument 'MODEL'."),
    (("compile", "m.nir", "--board", "b"), "Error: Missing option '-o' / '--output'."),
    (("bench", "m.nir", "--data", "d"), "Error: Missing option '--board'."),
    (("verify", "p", "--data", "d", "--samples", "0"),
     "Error: Invalid value for '--samples': 0 is not in the range x>=1."),
    (("info", "m.nir", "--dt", "0"),
     "Error: Invalid value for '--dt': 0 is not a positive number of seconds"),
    (("info", "m.nir", "--dt", "1 ms"), "Error: Invalid value for '--dt': '1 ms' is not a number"),
    (("info", "m.nir", "--dt", "nan"),
     "Error: Invalid value for '--dt': nan is not a positive number of seconds"),
    (("info", "m.nir", "--reset", "hard"),
     "Error: Invalid value for '--reset': 'hard' is not one of 'zero', 'subtract', 'none'."),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[" ".join(c[0]) for c in USAGE])
def test_wrong_usage_has_exit_code_2(
    refused: Refused, arguments: tuple[str, ...], message: str
) -> None:
    assert refused(*arguments, code=2).splitlines()[-1] == message
