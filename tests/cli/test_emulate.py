"""`emulate`: classes, counts and, where asked for, every spike and state."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cli.calls import Refused, Run


def test_emulate_adds_up_what_the_populations_did(run: Run, program: Path, data: Path) -> None:
    found = run("emulate", program, "--data", data, "--json").json
    assert (found["samples"], found["steps"], found["trace"]) == (5, 10, None)
    (row,) = found["populations"]
    assert row["population"] == "lif"
    assert row["updates"] == 5 * 10 * 4
    assert row["synops"] == 4 * int(np.load(data)["x"].sum())
    assert {k: found[k] for k in ("spikes", "synops", "updates")} == {
        k: row[k] for k in ("spikes", "synops", "updates")
    }
    shown = run("emulate", program, "--data", data).out
    assert shown.startswith("5 samples of 10 steps, accuracy ")
    lines = shown.splitlines()
    assert [line.split()[0] for line in lines[3:6]] == ["lif", "total", "per"]
    # weights of neuron 0 are negative, those of 1 are -1/8, 0 and 1/8
    silent = "note: output lif: 2 of 4 neurons never spike on these samples: 0, 1"
    assert lines[6:] == [silent]


def test_labels_are_optional(run: Run, program: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 3, 3), np.uint8))
    assert run("emulate", program, "--data", tmp_path / "x.npz", "--json").json["accuracy"] is None
    shown = run("emulate", program, "--data", tmp_path / "x.npz").out
    assert shown.splitlines()[0] == "2 samples of 3 steps, accuracy -"


def test_a_trace_holds_spikes_and_probed_states(
    run: Run, program: Path, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "trace.npz"
    arguments = ("emulate", program, "--data", data, "-o", path, "--probe", "lif:v")
    assert run(*arguments).out.splitlines()[-1] == f"trace: {path}"
    found = run(*arguments, "--json").json
    with np.load(path, allow_pickle=False) as trace:
        assert set(trace.files) == {"lif/indptr", "lif/indices", "lif/shape", "lif/v"}
        assert trace["lif/shape"].tolist() == [5, 10, 4]
        assert trace["lif/v"].shape == (5, 10, 4)
        assert len(trace["lif/indices"]) == trace["lif/indptr"][-1] == found["spikes"]


def test_all_unknown_probes_are_named(refused: Refused, program: Path, data: Path) -> None:
    probes = ("--probe", "x:v", "--probe", "lif", "--probe", "lif:v")
    assert refused("emulate", program, "--data", data, *probes) == (
        "error: --probe x:v: no such state (known: lif:v)\n"
        "error: --probe lif: no such state (known: lif:v)"
    )


def test_a_trace_cannot_replace_a_directory(
    refused: Refused, program: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "dir").mkdir()
    message = refused("emulate", program, "--data", data, "-o", tmp_path / "dir")
    assert message == "error: dir: cannot be written: Is a directory"


def test_no_program_here(refused: Refused, data: Path, model: Path, tmp_path: Path) -> None:
    hint = "(give a directory made by `snnstack compile`)"
    for path, what in (
        (tmp_path / "none", "there is no such directory"),
        (model, "is not a directory"),
    ):
        message = refused("emulate", path, "--data", data)
        assert message == f"error: {path.name}: {what} {hint}"
