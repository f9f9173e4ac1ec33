"""Dataclasses to files and back; what is damaged is named."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from snnstack.backends.mcu import NUMERICS
from snnstack.board import load_board
from snnstack.errors import ModelError, TargetError
from snnstack.program import digest, read_directory
from snnstack.quant.quantise import quantise
from snnstack.serial import from_files, to_files
from snnstack.simple import NETWORK_KINDS
from tests.conformance.networks import EXAMPLES, equal, spiking_graphs, steps_of

Files = dict[str, bytes]


@dataclass(frozen=True)
class Box:
    """Anything."""

    content: Any


def round_trip(value: Any) -> Any:
    return from_files(to_files(Box(value), "box"), "box", (Box,)).content


@pytest.fixture
def files() -> Files:
    return to_files(Box((np.arange(3), {"a": 1})), "box")


@pytest.mark.parametrize("name", EXAMPLES)
def test_networks_survive(name: str) -> None:
    network = quantise(steps_of(EXAMPLES[name]()), NUMERICS)
    again = from_files(to_files(network, "network"), "network", NETWORK_KINDS)
    assert equal(again, network)


@settings(max_examples=30)
@given(spiking_graphs())
def test_any_network_survives_byte_for_byte(graph: Any) -> None:
    try:
        network = quantise(steps_of(graph), NUMERICS)
    except ModelError:
        return
    files = to_files(network, "network")
    assert to_files(from_files(files, "network", NETWORK_KINDS), "network") == files


def test_boards_survive() -> None:
    board = load_board("nucleo-l4r5zi")
    assert round_trip(board) == board


def test_plain_values_survive() -> None:
    value = {"n": None, "t": True, "i": -(2**40), "f": 0.1, "s": "é\n", "nested": ((), (1, (2,)))}
    assert round_trip(value) == value


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint32", "float32", "float64", "bool"])
def test_arrays_keep_their_type_and_shape(dtype: str) -> None:
    array = np.zeros((2, 0, 3)).astype(dtype)
    again = round_trip((array, array + 1))
    assert [a.dtype for a in again] == [np.dtype(dtype), (array + 1).dtype]
    assert again[0].shape == (2, 0, 3)


def test_the_same_value_gives_the_same_bytes() -> None:
    one = to_files(Box({"b": np.arange(4), "a": 1}), "box")
    assert one == to_files(Box({"b": np.arange(4), "a": 1}), "box")
    assert digest(one) == digest(dict(reversed(one.items())))


def test_the_digest_sees_every_byte_and_name(files: Files) -> None:
    changed = {**files, "box.json": files["box.json"] + b" "}
    renamed = {**files, "bix.json": files["box.json"]}
    assert len({digest(files), digest(changed), digest(renamed)}) == 3


@pytest.mark.parametrize("name", ["box.json", "box.npz"])
def test_a_missing_file_is_named(files: Files, name: str) -> None:
    del files[name]
    with pytest.raises(TargetError) as told:
        from_files(files, "box", (Box,))
    assert str(told.value) == f"{name}: is missing (the program's directory is incomplete)"


def damaged(files: Files, name: str, content: bytes) -> str:
    with pytest.raises(TargetError) as told:
        from_files({**files, name: content}, "box", (Box,))
    where, _, rest = str(told.value).partition(": ")
    assert where == "box.json"
    assert rest.startswith("is malformed: ")
    assert rest.endswith(" (compile the model again)")
    return rest


def test_damaged_files_are_refused(files: Files) -> None:
    text, arrays = files["box.json"], files["box.npz"]
    for cut in (0, 1, len(text) // 2, len(text) - 3):
        damaged(files, "box.json", text[:cut])
    for cut in (0, 1, 30, len(arrays) // 2, len(arrays) - 1):
        damaged(files, "box.npz", arrays[:cut])
    damaged(files, "box.json", b"\xff\xfe")
    damaged(files, "box.npz", b"\x93NUMPY\x01\x00")


def test_flipped_bytes_never_pass_as_other_errors(files: Files) -> None:
    """A byte that decides nothing may pass; any other gives the one message."""
    arrays = files["box.npz"]
    for at in range(0, len(arrays), 7):
        broken = bytearray(arrays)
        broken[at] ^= 0x55
        try:
            from_files({**files, "box.npz": bytes(broken)}, "box", (Box,))
        except TargetError as told:
            assert str(told).startswith("box.json: is malformed: ")


def test_foreign_structure_is_refused(files: Files) -> None:
    def changed(tree: Any) -> str:
        return damaged(files, "box.json", json.dumps(tree).encode())

    assert "'Gun'" in changed({"$kind": "Gun"})
    assert "'a9'" in changed({"$kind": "Box", "content": {"$array": "a9"}})
    assert "unexpected keyword argument 'lid'" in changed({"$kind": "Box", "lid": 1})
    assert "missing 1 required" in changed({"$kind": "Box"})
    assert changed([]) == "is malformed: holds a list, not a Box (compile the model again)"


def test_deep_nesting_is_refused(files: Files) -> None:
    damaged(files, "box.json", b"[" * 100_000)


def test_nothing_executable_is_read(files: Files) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a0=np.array([Box(1)], dtype=object))
    assert "never unpickled" in damaged(files, "box.npz", buffer.getvalue())


def test_a_folder_that_is_no_program_says_so(tmp_path: Any) -> None:
    with pytest.raises(TargetError) as told:
        read_directory(tmp_path)
    hint = "(give a directory made by `snnstack compile`)"
    assert str(told.value) == f"{tmp_path}: has no manifest.json {hint}"
    with pytest.raises(TargetError) as told:
        read_directory(tmp_path / "nothing")
    assert str(told.value) == f"{tmp_path / 'nothing'}: there is no such directory {hint}"
