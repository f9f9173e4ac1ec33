"""What a verb writes is never what it reads, ends as what it is, and is whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.calls import Refused, Run

INPUT = "is an input of the same command (name another output)"


def itself(path: Path) -> Path:
    return path


def dotted(path: Path) -> Path:
    return path.parent / "sub" / ".." / path.name


def linked(path: Path) -> Path:
    link = path.with_name(f"soft{path.suffix}")
    link.symlink_to(path)
    return link


def hard(path: Path) -> Path:
    link = path.with_name(f"hard{path.suffix}")
    os.link(path, link)
    return link


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


@pytest.mark.parametrize("named", [itself, dotted, linked, hard, relative])
def test_a_trace_does_not_replace_its_data(
    named: Callable[[Path], Path], refused: Refused, program: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    before = data.read_bytes()
    output = named(data)
    message = refused("emulate", program, "--data", data, "-o", output)
    assert message == f"error: {str(output).replace(f'{tmp_path}/', '')}: {INPUT}"
    assert data.read_bytes() == before


def test_a_trace_does_not_replace_a_part_of_its_program(
    refused: Refused, run: Run, program: Path, data: Path
) -> None:
    before = (program / "network.npz").read_bytes()
    message = refused("emulate", program, "--data", data, "-o", program / "network.npz")
    assert message == f"error: {program.name}/network.npz: {INPUT}"
    assert (program / "network.npz").read_bytes() == before
    for _ in range(2):  # what was added to it may be replaced
        assert run("emulate", program, "--data", data, "-o", program / "trace.npz").code == 0


def copy(path: Path, name: str) -> Path:
    shutil.copy(path, path.parent / name)
    return path.parent / name


def test_no_page_and_no_table_replaces_an_input(
    refused: Refused, model: Path, data: Path, tmp_path: Path
) -> None:
    page, table = copy(data, "d.html"), copy(data, "d.csv")
    bench = ("bench", model, "--board", "microbit-v1", "--data")
    assert refused(*bench, page, "--html", page) == f"error: d.html: {INPUT}"
    assert refused(*bench, f"{table}?encode=rate", "--csv", table) == f"error: d.csv: {INPUT}"
    assert refused(*bench, data, "--calibrate", page, "--html", page) == f"error: d.html: {INPUT}"
    assert refused(*bench, data, "--ann-weights", page, "--html", page) == f"error: d.html: {INPUT}"
    (tmp_path / "set").mkdir()
    for ending, option in (("html", "--html"), ("csv", "--csv")):
        inner = copy(page, f"set/a.{ending}")
        assert refused(*bench, f"events:{tmp_path}/set?bin=1ms", option, inner) == (
            f"error: set/a.{ending}: {INPUT}"
        )
    rows = tmp_path / "rows.html"
    rows.write_text("[]")
    assert refused("report", rows, "-o", rows) == f"error: rows.html: {INPUT}"


def test_two_outputs_are_two_files(refused: Refused, model: Path, data: Path) -> None:
    message = refused(
        "bench",
        model,
        "--board",
        "microbit-v1",
        "--data",
        data,
        "--csv",
        "a.csv",
        "--html",
        "a.csv",
    )
    assert message == (
        "error: a.csv: ends in '.csv' (name a .html or .htm file)\n"
        "error: a.csv: is named for two outputs (name another output)"
    )


def test_a_file_ends_as_what_it_is(
    refused: Refused, model: Path, data: Path, program: Path, tmp_path: Path
) -> None:
    def said(name: str, ending: str, *arguments: object) -> None:
        message = refused(*arguments, tmp_path / name)
        suffix = Path(name).suffix
        what = f"ends in {suffix!r}" if suffix else "has no ending"
        assert message == f"error: {name}: {what} (name a {ending} file)"
        assert not (tmp_path / name).exists()

    said("page.html", ".npz", "emulate", program, "--data", data, "-o")
    said("trace", ".npz", "emulate", program, "--data", data, "-o")
    bench = ("bench", model, "--board", "microbit-v1", "--data", data)
    said("x.npz", ".html or .htm", *bench, "--html")
    said("x.html", ".csv", *bench, "--csv")
    said("x.npz", ".html or .htm", "report", program, "--data", data, "-o")
    said("x.nir", ".onnx", "export", model, "-o")
    said("x.onnx", ".nir", "convert", "a.onnx", "--calibrate", data, "-o")
    said("x.html", ".svg or .png or .pdf", "convert", "a.onnx", "--calibrate", data, "--plot")


def test_a_directory_does_not_end_as_a_file(
    refused: Refused, model: Path, data: Path, program: Path, tmp_path: Path
) -> None:
    what = "ends in '.npz', but a directory is written (leave it out)"
    for arguments in (
        ("compile", model, "--board", "microbit-v1"),
        ("train", model, "--board", "microbit-v1", "--data", data),
        ("netlist", program),
        ("sweep", model, "--data", data, "--vary", "board=microbit-v1"),
        ("demo",),
    ):
        assert refused(*arguments, "-o", tmp_path / "x.npz") == f"error: x.npz: {what}"
    assert not (tmp_path / "x.npz").exists()


def test_a_folder_that_cannot_be_written_is_known_before_the_work(
    refused: Refused, program: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    message = refused("emulate", program, "--data", data, "-o", tmp_path / "file" / "x.npz")
    assert message == "error: file/x.npz: cannot be written: file is not a directory".replace(
        ": file is", f": {tmp_path}/file is"
    ).replace(f"{tmp_path}/", "")
    message = refused("export", model, "-o", "/proc/none/x.onnx")
    assert message == "error: /proc/none/x.onnx: cannot be written: No such file or directory"


def test_a_sweep_does_not_replace_its_inputs(refused: Refused, model: Path, data: Path) -> None:
    named = copy(data, "results.csv")
    message = refused(
        "sweep", model, "--data", named, "--vary", "board=microbit-v1", "-o", named.parent
    )
    assert message == f"error: results.csv: {INPUT}"


def test_what_is_trusted_is_read_here(run: Run, model: Path, program: Path, data: Path) -> None:
    """`--trust` asks for no process; without it the model is read in one."""
    from snnstack.foreign import client

    client._CURRENT.end()
    assert run("info", model, "--trust").code == 0
    assert run("emulate", program, "--data", data, "--trust").code == 0
    assert client._CURRENT.worker is None
    assert run("info", model).code == 0
    assert client._CURRENT.worker is not None


def test_names_that_no_file_can_have_are_only_refused(refused: Refused, data: Path) -> None:
    for name in ("/", ".", "x" * 5000, "tonic:", "a?b"):
        assert refused("emulate", name, "--data", data, "-o", "trace.npz").startswith("error: ")
        assert refused("info", "m.nir", "--sample", name).startswith("error: ")
