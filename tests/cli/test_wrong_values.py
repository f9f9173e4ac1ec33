"""Every option of every verb, with values that it can hardly mean.

A command ends well, or with messages of ours that name the option or the value: no exception
that is not ours, no warning, nothing raw on the terminal, no run without end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from snnstack.cli import cli
from snnstack.cli.verb import OutputDirectory, OutputFile
from snnstack.foreign_text import visible
from snnstack.frontends.nir import write
from tests.cli.calls import Result, small
from tests.onnx.ann_models import mlp

NUMBERS = {
    "nan": "nan", "inf": "inf", "below": "-1", "zero": "0", "large": "1e308",
    "very large": "1" + "0" * 30, "digits": "9" * 5000,
}  # fmt: skip
TEXTS = {"empty": "", "long": "x" * 5000, "bidi": "a\u202eb\u00e9\u4e2d", "control": "a\x1b[2J\nb"}
FILES = {"folder": "folder", "missing": "gone.npz", "text": "notes.txt", "model": "m.nir"}
PATHS = {**FILES, "data": "d.npz", "deep": "notes.txt/below"}
STARTS = ("error: ", "could not be built: ")  # the latter of a point of a sweep
SECONDS = 10
"""For one command; nothing here is large."""

VERBS = {
    "info": "m.nir",
    "convert": "a.onnx --calibrate r.npz --steps 1,2",
    "export": "m.nir -o OUT.onnx",
    "compile": "m.nir --board neurram -o OUT",
    "train": "m.nir --board neurram --data d.npz -o OUT --epochs 1",
    "emulate": "crossbar --data d.npz",
    "verify": "crossbar --data d.npz",
    "netlist": "crossbar -o OUT",
    "flash": "mcu --dry-run",
    "run": "mcu --on microbit-v1 --data d.npz --runner copy",
    "latency": "mcu",
    "bench": "m.nir --board neurram --data d.npz",
    "report": "crossbar -o OUT.html --data d.npz",
    "sweep": "m.nir --data d.npz --vary board=neurram -o OUT --workers 1",
    "demo": "-o OUT --board neurram",
}


def cases(verb: str) -> Iterator[tuple[str, str, list[str]]]:
    """(option, value, arguments) of every command that is tried."""
    for option in cli.commands[verb].params:
        if getattr(option, "is_flag", False):
            continue
        for value in values(option):
            yield option.opts[-1], value, arguments(verb, option, [value])
        if isinstance(option, click.Option):
            yield option.opts[-1], "1", arguments(verb, option, ["1", "1"])


def values(option: click.Parameter) -> list[str]:
    if isinstance(option.type, OutputFile | OutputDirectory):
        accepted = ("bidi", "control", "missing", "data")
        return [v for k, v in (TEXTS | PATHS).items() if k not in accepted]
    number = type(option.type) is not click.Choice and option.type.name not in ("text", "path")
    return list((TEXTS | NUMBERS | (FILES if number else PATHS)).values())


def arguments(verb: str, option: click.Parameter, given: list[str]) -> list[str]:
    words = VERBS[verb].split()
    if isinstance(option, click.Argument):
        return [verb, *given, *words[1:]]
    for name in option.opts:
        if name in words and not option.multiple:
            at = words.index(name)
            del words[at : at + 2]
    name = option.opts[-1]
    pairs = [[f"{name}={value}"] if value[:1] == "-" else [name, value] for value in given]
    return [verb, *words, *(word for pair in pairs for word in pair)]


@pytest.fixture
def folder(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands name, and programs of two targets."""
    monkeypatch.chdir(tmp_path)
    write(small(), tmp_path / "m.nir")
    rng = np.random.default_rng(0)
    layers = [(rng.normal(0, 1, shape), np.zeros(shape[1])) for shape in ((3, 4), (4, 2))]
    mlp(tmp_path / "a.onnx", layers)
    x = (rng.random((2, 4, 3)) < 0.4).astype(np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(2))
    np.savez(tmp_path / "r.npz", x=rng.random((8, 3), np.float32), y=np.arange(8) % 2)
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "folder").mkdir()
    for board, name in (("microbit-v1", "mcu"), ("neurram", "crossbar")):
        assert run("compile", "m.nir", "--board", board, "-o", name).code == 0
    return tmp_path


def wrong(option: str, value: str, result: Result) -> str:
    """What is not as it should be; empty where all is well."""
    shown = result.out + result.err
    if result.code not in (0, 1, 2):
        return f"status {result.code}"
    if "itself failed" in shown or "Traceback" in shown or "Warning" in shown:
        return "an exception or a warning of others"
    if any(not c.isprintable() and c not in "\n\t" for c in shown):
        return "raw characters"
    if len(result.err) > 5000:
        return f"{len(result.err)} characters of error"
    if result.code == 0 or result.out.startswith("0 mismatches"):
        return ""
    lines = [line for line in result.err.splitlines() if line.lower().startswith(STARTS)]
    if not 1 <= len(lines) <= 4:
        return f"{len(lines)} errors"
    name = option.lstrip("-").lower()
    spelled = (name, name.replace("-", "_"), visible(value)[:30], repr(value)[1:30])
    named = any(text and text in lines[0].lower() + lines[0] for text in spelled)
    return "" if named else "neither option nor value"


NEEDS = {"train": pytest.mark.needs_torch, "latency": pytest.mark.needs_qemu}
TRIED = [pytest.param(verb, marks=NEEDS.get(verb, ())) for verb in VERBS]


@pytest.mark.parametrize("verb", TRIED)
def test_no_value_of_an_option_ends_otherwise_than_said(run: Any, folder: Path, verb: str) -> None:
    kept = {path.name for path in folder.iterdir()}
    usual = run(*(word.replace("OUT", "new") for word in [verb, *VERBS[verb].split()]))
    assert usual.code == (1 if verb == "run" else 0), usual  # no board is connected
    shutil.rmtree("new", ignore_errors=True)
    faults = []
    for option, value, words in cases(verb):
        start = time.monotonic()
        result = run(*(word.replace("OUT", "new") for word in words))
        took = time.monotonic() - start
        usual = value in VERBS[verb].split() and result.code == 1
        fault = "" if usual else wrong(option, value, result)
        fault = fault or (f"{took:.0f} s" if took > SECONDS else "")
        if fault:
            faults.append(f"{option} {value[:40]!r}: {fault}: {result.code} {result.err[-300:]!r}")
        for path in folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not faults, "\n".join(faults)


def test_every_verb_is_tried() -> None:
    without = {
        name
        for name, verb in cli.commands.items()
        if all(getattr(option, "is_flag", False) for option in verb.params)
    }
    assert without == {"targets", "boards"}
    assert set(VERBS) == set(cli.commands) - without
