"""An .npz or .npy is believed in nothing: not its sizes, not its kinds, not its packing."""

from __future__ import annotations

import contextlib
import io
import pickle
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import DataError, TargetError
from snnstack.foreign import trusting
from snnstack.frontends.event_files import read_npy as read_events
from snnstack.frontends.open_data import open_data
from snnstack.ir.step import StepInput
from snnstack.npz import NotArrays, names_in, npz_member, read_npy, read_npz
from snnstack.serial import from_files

PORT = StepInput("in", (3,), "binary")
X = np.eye(3, dtype=np.uint8)[None]


def head(text: str, version: bytes = b"\x01\x00", magic: bytes = b"\x93NUMPY") -> bytes:
    content = text.encode("latin1") + b"\n"
    size = len(content).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return magic + version + size + content


def npy(shape: object, descr: object = "|u1", data: bytes = bytes(9)) -> bytes:
    return head(repr({"descr": descr, "fortran_order": False, "shape": shape})) + data


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def huge(declared: int) -> bytes:
    """A member whose sizes, in both places of the archive, say more than there is."""
    content = bytearray(archive({"x": npy((declared,))}))
    size = len(npy((declared,))).to_bytes(4, "little")
    while size in content:
        at = content.index(size)
        content[at : at + 4] = (declared + 200).to_bytes(4, "little")
    return bytes(content)


EARLY = "is cut short or damaged: x ends after 9 of {} bytes"
BAD: dict[str, tuple[bytes, str]] = {
    "13 GB": (archive({"x": npy((13 * 10**9,))}), EARLY.format(13 * 10**9)),
    "a product beyond 64 bits": (archive({"x": npy((2**40, 2**40))}), EARLY.format(2**80)),
    "below zero": (
        archive({"x": npy((-1, -9))}),
        "is cut short or damaged: x has shape [-1, -9]",
    ),
    "one dimension below zero": (
        archive({"x": npy((-3, 3))}),
        "is cut short or damaged: x has shape [-3, 3]",
    ),
    "objects": (
        archive({"x": npy((1,), "|O", pickle.dumps(print))}),
        "x holds Python objects, not numbers; they are never unpickled",
    ),
    "objects inside records": (
        archive({"x": npy((1,), [("a", "|O")], pickle.dumps(print))}),
        "x holds Python objects, not numbers; they are never unpickled",
    ),
    "sizes of a zip": (
        huge(2 * 10**9),
        "is cut short or damaged: x.npy claims to end behind it",
    ),
    "bzip2": (
        archive({"x": npy((3, 3))}, zipfile.ZIP_BZIP2),
        "x is packed by method 12, not by numpy",
    ),
    "lzma": (
        archive({"x": npy((3, 3))}, zipfile.ZIP_LZMA),
        "x is packed by method 14, not by numpy",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_an_archive_says_is_checked(kind: str) -> None:
    content, message = BAD[kind]
    with pytest.raises(NotArrays) as told:
        read_npz(content)
    assert str(told.value) == message


def test_sizes_that_a_zip_invents_are_not_allocated() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(NotArrays):
            read_npz(BAD["sizes of a zip"][0])
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


HEADERS = {
    "no dictionary": head("[1, 2]"),
    "code": head("{'descr': __import__('os').system('true'), 'shape': ()}"),
    "nested deeply": head("(" * 5000),
    "long": head("{'descr': '" + "x" * 50000, b"\x02\x00"),
    "an escape": head("{'descr': '\\d', 'fortran_order': False, 'shape': ()}"),
    "Python 2": head("{'descr': '<f8', 'fortran_order': False, 'shape': (3L,)}") + bytes(24),
    "a dtype that is none": npy((1,), "q9"),
    "a shape that is none": npy("abc"),
    "true as a size": npy((True,), "|u1"),
    "version 9": head("{}", b"\x09\x00"),
    "no magic": head("{}", magic=b"\x93NUMPX"),
    "nothing": b"",
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", HEADERS)
def test_headers_are_data(kind: str, tmp_path: Path) -> None:
    content = HEADERS[kind]
    (tmp_path / "a.npy").write_bytes(content)
    for read, source in ((read_npz, archive({"x": content})), (read_npy, tmp_path / "a.npy")):
        try:
            read(source)  # type: ignore[operator]
        except NotArrays as error:
            assert str(error).startswith("is cut short or damaged: "), error


def test_every_reader_says_it_in_its_own_words(tmp_path: Path) -> None:
    content, message = BAD["13 GB"]
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError) as told:
        open_data(path, PORT).read()
    assert str(told.value).startswith(f"{path}: {message} (")
    with pytest.raises(TargetError) as refused:
        from_files({"n.npz": content, "n.json": b"{}"}, "n", (dict,))
    assert str(refused.value) == f"n.json: is malformed: {message} (compile the model again)"
    (tmp_path / "a.npy").write_bytes(npy((13 * 10**9,)))
    with pytest.raises(DataError, match=r"cannot be read: is cut short or damaged: it ends after"):
        read_events(tmp_path / "a.npy")


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "x": X,
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "scalar": np.float16(2.5),
        "text": np.array(["a", "bcd"]),
        "no letters": np.array(""),
        "records": np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]),
        "nothing": np.zeros((0, 4)),
        "big end": np.arange(3, dtype=">i8"),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        content = (tmp_path / "a.npz").read_bytes()
        for found in (read_npz(tmp_path / "a.npz"), read_npz(content)):
            assert list(found) == list(arrays)
            for name, value in arrays.items():
                assert found[name].dtype == np.asarray(value).dtype
                assert np.array_equal(found[name], value)
                assert found[name].flags.writeable
        assert names_in(content) == list(arrays)
        assert list(read_npz(content, ("x", "other"))) == ["x"]
        with npz_member(tmp_path / "a.npz", "x") as (header, file):
            assert (header.shape, header.dtype) == ((1, 3, 3), np.uint8)
            assert file.read() == X.tobytes()


def test_a_check_sum_that_is_wrong_is_noticed() -> None:
    content = bytearray(archive({"x": npy((3, 3), data=b"123456789")}))
    content[content.index(b"123456789")] ^= 1
    with pytest.raises(NotArrays, match="Bad CRC-32"):
        read_npz(bytes(content))


def test_a_dense_bomb_needs_a_word_of_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnstack.npz.LARGE", 2**20)
    content = archive({"x": npy((2**21,), data=bytes(2**21))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(NotArrays, match="is not read: x claims 2097152 bytes in"):
        read_npz(content)
    with trusting():
        assert len(read_npz(content)["x"]) == 2**21


def test_many_bombs_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnstack.npz.LARGE", 2**20)
    part = npy((2**19,), data=bytes(2**19))
    content = archive({f"x{k}": part for k in range(3)}, zipfile.ZIP_DEFLATED)
    assert len(read_npz(content, ("x1",))["x1"]) == 2**19
    with pytest.raises(NotArrays, match="is not read: 3 arrays claim 1573077 bytes in"):
        read_npz(content)
    with trusting():
        assert len(read_npz(content)) == 3


def overlapping(count: int) -> bytes:
    """Members of the list at the end that are all the one that is there."""
    content = archive({"x00": npy((900,), data=bytes(900))})
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry, tail = content[start:end], bytearray(content[end:])
    entries = b"".join(entry.replace(b"x00", b"x%02d" % k) for k in range(count))
    tail[8:10] = tail[10:12] = count.to_bytes(2, "little")
    tail[12:16] = len(entries).to_bytes(4, "little")
    return content[:start] + entries + bytes(tail)


def test_members_do_not_lie_upon_each_other() -> None:
    """Twenty arrays of 900 bytes in a file of 2.5 kB; with a thousand it is a bomb."""
    with pytest.raises(NotArrays, match=r"x0\d.npy lies where others do"):
        read_npz(overlapping(20))


def test_an_array_is_there_once() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("x.npy", npy((9,)))
        file.writestr("x.npy", npy((9,), data=b"123456789"))
    with pytest.raises(NotArrays, match="it holds x twice"):
        read_npz(buffer.getvalue())


@pytest.mark.parametrize("name", ["../x", "/etc/x", "..\\x", "C:\\x", "a\0b", "", "x" * 5000])
def test_a_name_in_an_archive_is_no_path(name: str, tmp_path: Path) -> None:
    """Nothing is unpacked to a place: a name is looked up, and is not among those that are."""
    path = tmp_path / "in" / "a.npz"
    path.parent.mkdir()
    path.write_bytes(archive({name: npy((3,), data=b"abc"), "x": npy((1, 3, 3), data=bytes(9))}))
    with contextlib.suppress(DataError):
        open_data(path, PORT).read()
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.npz"]


def test_a_link_in_an_archive_leads_nowhere(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    link = zipfile.ZipInfo("x.npy")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(NotArrays, match="is cut short or damaged"):
        read_npz(buffer.getvalue())


@pytest.mark.parametrize(("at", "size"), [(8, 2), (10, 2), (12, 4), (16, 4), (20, 2)])
def test_counts_at_the_end_of_an_archive_are_data(at: int, size: int) -> None:
    """Members, bytes of their list and where it begins: the largest that can be said."""
    whole = archive({"x": npy((9,))})
    for value in (b"\xff" * size, b"\x7f".rjust(size, b"\xff"), bytes(size)):
        content = bytearray(whole)
        start = content.index(b"PK\x05\x06") + at
        content[start : start + size] = value
        with contextlib.suppress(NotArrays):
            assert set(read_npz(bytes(content))) <= {"x"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=X, y=np.zeros(1, np.int64))
    whole, draw = buffer.getvalue(), random.Random(seed)
    path = tmp_path / "a.npz"
    for _ in range(250):
        content = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 8))):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content[: draw.choice((len(content), draw.randrange(len(content))))])
        try:
            open_data(path, PORT).read()
        except DataError:
            continue
