"""A reader that does not end, takes too much or dies costs a message, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnstack.errors import DataError, ModelError, ToolError
from snnstack.foreign import ForeignFile, client, limits, prepare, trusting
from snnstack.foreign.wire import packed, unpacked
from snnstack.frontends.nir import read

HEAP_SIZES = (168, 240, 360)
"""Bytes of a global heap that hold the size of a piece of text; 255 there, and libhdf5 2.0 walks
from piece to piece for ever."""


def texts(path: Path) -> bytes:
    """A NIR file with many pieces of text."""
    with h5py.File(path, "w") as file:
        node = file.create_group("node")
        node["type"] = "NIRGraph"
        for k in range(12):
            group = node.create_group(f"nodes/lif{k}")
            group["type"], group["tau"] = "LIF", np.ones(3)
        node["edges"] = np.array([["in", "a"], ["a", "b"]], dtype="O")
    return path.read_bytes()


@pytest.mark.parametrize("place", HEAP_SIZES)
def test_a_damaged_heap_does_not_hang(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 1)
    path = tmp_path / "a.nir"
    content = bytearray(texts(path))
    content[content.index(b"GCOL") + place] = 255
    path.write_bytes(content)
    with pytest.raises(ModelError) as told:
        read(path)
    assert str(told.value) == f"{path}: is damaged (reading it did not end in 1 s)"
    texts(path)
    with pytest.raises(ModelError, match=r"metadata|parameter"):  # and the next file is read
        read(path)


# What the process is made to do here, called by its name there.


def answer(path: str, value: Any) -> Any:
    return value


def spin(path: str) -> None:
    while True:
        pass


def sleep(path: str) -> None:
    time.sleep(60)


def nap(path: str) -> None:
    time.sleep(3)


def fill(path: str) -> int:
    return len(bytearray(2 * 10**9))


def die(path: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def stumble(path: str) -> None:
    raise LookupError("no such thing\nand more")


def refuse(path: str) -> None:
    raise ToolError([])


def chatter(path: str) -> str:
    print("to standard output")
    os.write(1, b"below Python")
    return "heard"


def folder(path: str) -> tuple[list[str], str]:
    return sys.path, os.environ.get("HDF5_PLUGIN_PRELOAD", "")


def ask(function: Any, *arguments: Any) -> Any:
    return ForeignFile(Path("a.h5"), DataError).read(function, *arguments)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (spin, " (reading it did not end in 1 s)"),
        (sleep, " (reading it did not end in 1 s)"),
        (fill, " (reading it needs more than 1500 MB)"),
        (die, " (the reader crashed)"),
        (stumble, ": no such thing (copy or download it again)"),
    ],
)
def test_what_goes_wrong_is_said(function: Any, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 1)
    monkeypatch.setattr(limits, "PATIENCE", 3)
    with pytest.raises(DataError) as told:
        ask(function)
    assert str(told.value) == f"a.h5: is damaged{why}"
    assert ask(answer, 5) == 5


def test_limits_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(500 * limits.MEGABYTE)
    assert limits.limits_for(path) == limits.Limits(110, 3500)


def test_errors_of_ours_come_through() -> None:
    with pytest.raises(ToolError):
        ask(refuse)


def test_plain_data_comes_back_as_it_was() -> None:
    value = {
        "tree": {"a": (1, 2.5, None, True), "b": ["é\udcff", float("inf")]},
        "bytes": b"\0\1",
        "array": np.arange(6, dtype=">i2").reshape(2, 3),
        "text": np.array(["ab", "c"]),
        "scalar": np.float16(1.5),
        "nothing": np.zeros((0, 3), np.float32),
    }
    found = ask(answer, value)
    assert {k: found[k] for k in ("tree", "bytes")} == {k: value[k] for k in ("tree", "bytes")}
    for name in ("array", "text", "scalar", "nothing"):
        assert type(found[name]) is type(value[name])
        assert found[name].dtype == value[name].dtype  # type: ignore[attr-defined]
        assert np.array_equal(found[name], value[name])  # type: ignore[arg-type]
    found["array"][0, 0] = 7  # what was read may be written to


@pytest.mark.parametrize("value", [{1: 2}, {2, 3}, np.array([{}]), np.zeros(2, "i4,i4"), print])
def test_nothing_else_is_sent(value: Any) -> None:
    with pytest.raises(TypeError):
        list(packed(value))


def test_a_message_is_not_believed() -> None:
    def message(text: str, rest: bytes = b"") -> Any:
        content = len(text).to_bytes(8, "little") + text.encode() + rest
        at = 0

        def receive(size: int) -> bytearray:
            nonlocal at
            at += size
            return bytearray(content[at - size : at])

        return unpacked(receive, 1000)

    for text in (
        '{"tree": {"$array": 0}, "arrays": [["|O", [1], 8]]}',
        '{"tree": {"$array": 0}, "arrays": [["<f8", [-1, -1], 8]]}',
        '{"tree": {"$array": 0}, "arrays": [["<f8", [9], 8]]}',
        '{"tree": {"$array": 0}, "arrays": [["<f8", [200], 1600]]}',
    ):
        with pytest.raises(ValueError, match=r"an array of|too long"):
            message(text, bytes(8))


def test_what_a_library_prints_is_no_answer() -> None:
    assert ask(chatter) == "heard"


def test_the_process_finds_no_module_here_and_no_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    client._CURRENT.end()
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    places, plugins = ask(folder)
    assert "" not in places
    assert "." not in places
    assert plugins == "::"


def test_trusted_files_are_read_here() -> None:
    with trusting():
        assert ask(os.path.basename) == "a.h5"
        file = ForeignFile(Path("a.h5"), DataError)
        with pytest.raises(DataError, match="no such thing"):
            file.read(stumble)
    assert file.read(getpid) == os.getpid()
    assert ask(getpid) != os.getpid()


def getpid(path: str) -> int:
    return os.getpid()


def test_one_process_answers_many_questions_from_many_threads() -> None:
    prepare("numpy")
    found: list[tuple[int, int]] = []

    def many(number: int) -> None:
        for _ in range(20):
            found.append((ask(answer, number), ask(getpid)))

    threads = [threading.Thread(target=many, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(n for n, _ in found) == sorted(list(range(4)) * 20)
    assert len({process for _, process in found}) == 1


def test_a_process_that_left_for_want_of_questions_is_replaced() -> None:
    first = ask(getpid)
    worker = client._CURRENT.worker
    assert worker is not None
    read_end, write_end = os.pipe()
    os.dup2(write_end, worker.sink.fileno())  # nobody can ask it any more
    os.close(read_end)
    os.close(write_end)
    assert worker.process.wait(timeout=10) == 0
    assert ask(getpid) not in (first, os.getpid())


def test_a_forked_child_has_a_process_of_its_own() -> None:
    mine = ask(getpid)
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.write(write_end, str(ask(getpid)).encode())
        client._CURRENT.end()
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read_end, 20)) != mine
    assert ask(getpid) == mine
    os.close(read_end)
    os.close(write_end)


SCRIPT = """
import sys, threading
from pathlib import Path
from snnstack.errors import DataError
from snnstack.foreign import ForeignFile
from tests.foreign import test_limits
file = ForeignFile(Path("a.h5"), DataError)
print(file.read(test_limits.getpid), flush=True)
file.read(test_limits.nap)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupt_leaves_no_process(number: int) -> None:
    """However it ends: the reader has nobody to answer, or is ended."""
    argv, pipe = [sys.executable, "-c", SCRIPT], subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        reader = int(process.stdout.readline())
        time.sleep(0.3)
        process.send_signal(number)
        process.wait(timeout=20)
    limit = 1 if number == signal.SIGINT else 20
    until = time.monotonic() + limit
    while alive(reader):
        assert time.monotonic() < until
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
