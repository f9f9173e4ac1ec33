"""The process that reads: answers one question after the other, until nobody asks any more."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from importlib import import_module
from typing import Any

from snnstack.errors import SnnstackError
from snnstack.foreign.limits import Limits, obey
from snnstack.foreign.wire import packed, unpacked

IDLE = 120
"""Seconds without a question after which the process ends by itself."""
LONGEST = 2**26
"""Bytes of a question."""


def main() -> None:
    """Answer what comes in by standard input, with `function(*arguments)`, until it is closed.

    Arguments of the command: modules to load while nobody waits. Standard output is for answers
    alone; whatever a library prints goes nowhere.
    """
    questions, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            import_module(name)
    with os.fdopen(questions, "rb", buffering=0) as source, os.fdopen(answers, "wb") as sink:
        while select.select([source], [], [], IDLE)[0]:
            try:
                question = unpacked(lambda size: _exactly(source, size), LONGEST)
            except EOFError:
                return
            for piece in packed_answer(question):
                sink.write(piece)
            sink.flush()


def _exactly(source: Any, size: int) -> bytearray:
    found = bytearray(size)
    view, at = memoryview(found), 0
    while at < size:
        count = source.readinto(view[at:])
        if not count:
            raise EOFError
        at += count
    return found


def packed_answer(question: dict[str, Any]) -> list[Any]:
    """What the function gives, or what went wrong, as the pieces of a message."""
    try:
        with contextlib.suppress(OSError):
            os.chdir(question["folder"])  # where the asker is now: a path may be relative to it
        obey(Limits(*question["limits"]))
        module, _, name = question["function"].partition(":")
        value = getattr(import_module(module), name)(*question["arguments"])
        return list(packed({"value": value}))
    except SnnstackError as error:
        problems = [[p.where, p.what, p.hint] for p in error.problems]
        return list(packed({"kind": type(error).__name__, "problems": problems}))
    except MemoryError:
        return list(packed({"memory": True}))
    except Exception as error:  # the libraries raise whatever they meet in damaged bytes
        return list(packed({"damage": reason(error)}))


def reason(error: BaseException) -> str:
    """The first line of an error's text, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
