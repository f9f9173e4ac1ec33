"""A foreign HDF5 file gives what is in it, and nothing else, in bounded time and memory."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from snnstack.backends.loihi.netx import read_netx
from snnstack.errors import DataError, ModelError
from snnstack.foreign import limits, trusting
from snnstack.frontends.nir import read
from snnstack.frontends.open_data import open_data
from snnstack.ir.step import StepInput
from tests.foreign.hostile import HOSTILE, bomb, diamonds, gigabytes

PORT = StepInput("in", (3,), "binary")
KINDS = pytest.mark.parametrize("kind", HOSTILE)


def nir_file(path: Path) -> Path:
    with h5py.File(path / "a.nir", "w") as file:
        node = file.create_group("node")
        node["type"], node["edges"] = "NIRGraph", [["in", "w"], ["w", "out"]]
        for name, shape in (("in", "Input"), ("out", "Output")):
            node[f"nodes/{name}/type"], node[f"nodes/{name}/shape"] = shape, np.array([3])
        node["nodes/w/type"], node["nodes/w/weight"] = "Linear", np.eye(3)
    return path / "a.nir"


def put(path: Path, kind: str, name: str) -> str:
    """What must be said of the file with something hostile called `name` in it."""
    make, message = HOSTILE[kind]
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        make(file, name)
    return f"{path}: {message.replace('NAME', f'/{name}')}"


@KINDS
@pytest.mark.parametrize("trust", [False, True])
def test_no_model_leads_out_of_its_file(kind: str, trust: bool, tmp_path: Path) -> None:
    path = nir_file(tmp_path)
    expected = put(path, kind, "node/nodes/w/weight")
    if kind == "unknown filter" and trust:
        return  # HDF5's own affair, for a file that the user vouched for
    with trusting(trust), pytest.raises(ModelError) as told:
        read(path)
    assert str(told.value) == expected


@KINDS
def test_nothing_hides_beside_the_model(kind: str, tmp_path: Path) -> None:
    """Names that nobody reads are looked at as well."""
    path = nir_file(tmp_path)
    expected = put(path, kind, "extra")
    with pytest.raises(ModelError) as told:
        read(path)
    assert str(told.value) == expected


@KINDS
def test_no_netx_network_leads_out_of_its_file(kind: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.net", "w") as file:
        file["layer/0/type"], file["layer/0/shape"] = "input", [3]
    expected = put(tmp_path / "a.net", kind, "layer/1/weight")
    with pytest.raises(ModelError) as told:
        read_netx(tmp_path / "a.net")
    assert str(told.value) == expected


@KINDS
@pytest.mark.parametrize("name", ["x", "events/x", "spikes/times", "labels"])
def test_no_recording_leads_out_of_its_file(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"], file["spikes/times"], file["spikes/units"] = np.zeros((1, 2, 3)), [0], [0]
        file["events/t"] = [0]
    expected = put(path, kind, name)
    for data in (path, f"{path}?bin=1ms"):
        with pytest.raises(DataError) as told:
            open_data(data, PORT).read()
        assert str(told.value) == expected


def test_the_same_group_under_two_names_is_read_twice(tmp_path: Path) -> None:
    """A diamond that is small is no harm."""
    path = nir_file(tmp_path)
    with h5py.File(path, "a") as file:
        nodes = file["node/nodes"]
        nodes["v"], file["node/metadata/note"] = nodes["w"], 1
        del file["node/edges"]
        file["node/edges"] = [["in", "w"], ["w", "v"], ["v", "out"]]
    graph = read(path)
    assert np.array_equal(graph.nodes["v"].weight, graph.nodes["w"].weight)  # type: ignore[union-attr]


def test_a_small_file_does_not_claim_gigabytes(tmp_path: Path) -> None:
    path = nir_file(tmp_path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        gigabytes(file, "node/nodes/w/weight")
    with pytest.raises(ModelError, match="claims 1625000000 elements of 8 bytes: too many"):
        read(path)
    for name in ("events/x", "labels", "y"):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            gigabytes(file, name)
            file["spikes/times"] = file["spikes/units"] = [0]
            file["x"] = np.zeros((1, 2, 3))
            if name == "events/x":
                del file["spikes"]
        data = tmp_path / "a.h5" if name == "y" else f"{tmp_path}/a.h5?bin=1ms"
        with pytest.raises(DataError, match="claims 1625000000 elements of 8 bytes: too many"):
            open_data(data, PORT).read()


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEGABYTES", 20)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        bomb(file, "events/x")
        file["events/t"] = [0]
    assert (tmp_path / "a.h5").stat().st_size < 50_000
    with pytest.raises(DataError, match=r"is damaged \(reading it needs more than 20 MB\)"):
        open_data(f"{tmp_path}/a.h5?bin=1ms", PORT).read()


def test_a_walk_through_diamonds_is_short(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        diamonds(file, "x")
    assert (tmp_path / "a.h5").stat().st_size < 40_000
    with pytest.raises(DataError, match="more than 100000"):
        open_data(tmp_path / "a.h5", PORT)


def test_samples_that_a_small_file_claims_are_not_made(tmp_path: Path) -> None:
    """Read in parts, they could go on for ever; one alone could fill the memory."""
    shapes = {(10**12, 2, 3): "claims 6000000000000 elements", (1, 10**12, 3): "claims 3000000"}
    for shape, message in shapes.items():
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("x", shape=shape, dtype="u1", chunks=(1, 2, 3))
        with pytest.raises(DataError, match=message):
            open_data(tmp_path / "a.h5", PORT)


def test_a_sample_has_room_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnstack.frontends.arrays.LARGEST_SAMPLE", 100)
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 50, 3), np.uint8))
    with pytest.raises(DataError) as told:
        open_data(tmp_path / "a.npz", PORT)
    assert str(told.value) == (
        f"{tmp_path}/a.npz: one sample of x has 150 bytes, at most 100 "
        "(cut it, or say --trust for a file that you trust)"
    )


def test_a_path_is_relative_to_where_the_caller_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to where it was when the reading process was started."""
    from snnstack.frontends.nir import read, write
    from tests.cli.calls import small

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write(small(), Path("net.nir"))
        assert read(Path("net.nir")).dt == 1e-3
        Path("net.nir").unlink()
