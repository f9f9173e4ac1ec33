"""`info`, `targets`, `boards`: what is there, for people and for programs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from snnstack.cli import show
from snnstack.cli.bench_tables import HEADER
from snnstack.cli.show import size
from snnstack.frontends.nir import write
from snnstack.report.numbers import band, percent
from tests.cli.calls import Refused, Run, small
from tests.conftest import needed


def test_info_shows_the_network_its_steps_and_its_size(run: Run, model: Path) -> None:
    shown = run("info", model)
    lines = shown.out.splitlines()
    assert (shown.code, shown.err) == (0, "")
    assert lines[:5] == [
        "dt 0.001 s (file)",
        "integrator euler (file)",
        "reset v_reset (default)",
        "compare gt (default)",
        "events binary (file)",
    ]
    assert lines[-2:] == ["outputs lif", "4 neurons, 12 weights"]


def test_info_says_where_every_choice_comes_from(run: Run, model: Path) -> None:
    found = run("info", model, "--reset", "subtract", "--dt", "2e-3", "--json").json
    assert (found["dt"], found["integrator"]) == (0.002, "euler")
    assert (found["reset"], found["compare"], found["events"]) == ("subtract", "gt", "binary")
    assert found["settings"] == {
        "dt": "option",
        "integrator": "file",
        "reset": "option",
        "reset_time": "option",
        "compare": "default",
        "events": "file",
    }
    assert (found["neurons"], found["weights"]) == (4, 12)


def test_a_file_that_says_nothing_gets_the_defaults(run: Run, tmp_path: Path) -> None:
    write(small().with_(dt=None, integrator=None), tmp_path / "plain.nir")
    found = run("info", tmp_path / "plain.nir", "--json").json
    assert (found["dt"], found["integrator"]) == (1e-4, "euler")
    assert (found["settings"]["dt"], found["settings"]["integrator"]) == ("default", "default")


@pytest.mark.parametrize(
    ("option", "value", "key"),
    [
        ("--dt", "0.002", "dt"),
        ("--integrator", "exponential", "integrator"),
        ("--reset", "subtract", "reset"),
        ("--compare", "ge", "compare"),
        ("--events", "count", "events"),
    ],
)
@pytest.mark.parametrize("verb", ["info", "compile"])
def test_every_choice_reaches_every_verb_that_loads_a_model(
    run: Run, model: Path, tmp_path: Path, verb: str, option: str, value: str, key: str
) -> None:
    more = ("--board", "microbit-v1", "-o", tmp_path / "p") if verb == "compile" else ()
    found = run(verb, model, option, value, *more, "--json").json
    found = found["settings"] if verb == "compile" else found
    origin = found["origin"] if verb == "compile" else found["settings"]
    assert (str(found[key]), origin[key]) == (value, "option")


def test_boards_lists_name_target_and_status(run: Run) -> None:
    found = run("boards", "--json").json
    assert {"microbit-v1", "nucleo-l4r5zi", "esp32-c3"} <= {board["name"] for board in found}
    assert all({"name", "target", "status"} <= board.keys() for board in found)
    shown = run("boards").out
    assert all(board["name"] in shown and board["status"] in shown for board in found)


def test_targets_lists_the_boards_of_each(run: Run) -> None:
    found = {target["name"]: target for target in run("targets", "--json").json}
    assert "nucleo-l4r5zi" in found["mcu"]["boards"]
    assert "Microcontrollers" in run("targets").out


def test_tables_fit_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    row = ["stm32f4-discovery", "96.94", "99.63", "yes", "~18.9 (14-25)", "~450 (191-1294)",
           "1014.7", "101.9"]  # fmt: skip
    show.table("title", HEADER, [row])
    lines = terminal.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    words = terminal.getvalue().split()
    assert all(word in words for cell in row for word in cell.split())


def test_bands_and_sizes_are_short() -> None:
    assert band(191.145, 449.93, 1293.9) == "450 (190-1300)"
    assert band(0.0, 0.0, 0.0) == "0 (0-0)"
    assert band(0.00065, 0.00086, 0.00126) == "0.000860 (0.00065-0.0013)"
    assert (percent(0.96371), percent(None)) == ("96.37 %", "-")
    assert (size(1023), size(2**20 - 1), size(2 * 2**20)) == ("1023 bytes", "1024 KiB", "2 MiB")


def test_info_tells_what_was_compared_when_a_module_was_loaded(
    run: Run, model: Path, tmp_path: Path
) -> None:
    from snnstack.frontends.nir import read, write

    told = {"framework": "snntorch", "slots": 90000, "mismatches": 1, "differences": ("lif[3]: x",)}
    graph = read(model)
    noted = graph.with_(metadata={**graph.metadata, "agreement": told})
    write(noted, tmp_path / "noted.nir")
    shown = run("info", tmp_path / "noted.nir").out.splitlines()
    assert shown[-2:] == ["1 of 90000 spikes differed from snntorch's", "  lif[3]: x"]
    found = run("info", tmp_path / "noted.nir", "--json").json["agreement"]
    assert (found["slots"], found["differences"]) == (90000, ["lif[3]: x"])


def test_an_onnx_step_is_compared_on_named_samples(
    run: Run, refused: Refused, model: Path, data: Path, tmp_path: Path
) -> None:
    needed("onnxruntime")
    step = tmp_path / "step.onnx"
    run("export", model, "-o", step)
    told = run("info", step, "--sample", data, "--json").json["agreement"]
    slots = 5 * 10 * 4
    assert (told["framework"], told["slots"], told["mismatches"]) == ("onnxruntime", slots, 0)
    assert run("info", step, "--json").json["agreement"]["slots"] != slots
    arguments = ("--board", "microbit-v1", "-o", tmp_path / "firmware")
    assert run("compile", step, "--sample", data, *arguments).code == 0
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, x=np.zeros((2, 3, 9), np.uint8))
    assert refused("info", step, "--sample", wrong) == (
        "error: wrong.npz: x has shape [2, 3, 9], input 'in' needs [sample, step, 3]"
    )


def test_other_files_take_no_sample(refused: Refused, model: Path, data: Path) -> None:
    assert refused("info", model, "--sample", data) == (
        f"error: {model.name}: is not run by another framework on a sample (leave out --sample "
        "(sample=): one step of a spiking network in ONNX is compared on it)"
    )


def test_info_lists_no_difference_below_a_zero_that_does_not_count_it(
    run: Run, model: Path, tmp_path: Path
) -> None:
    """Compared in single precision nothing differs; what differs in double is said as that."""
    from snnstack.frontends.nir import read, write

    told = {
        "framework": "snntorch", "slots": 400, "mismatches": 0, "precision": "single",
        "mismatches_of_double_to_single": 2, "differences": ("lif[3]: x", "lif[1]: y"),
    }  # fmt: skip
    graph = read(model)
    write(graph.with_(metadata={**graph.metadata, "agreement": told}), tmp_path / "noted.nir")
    shown = run("info", tmp_path / "noted.nir").out.splitlines()
    assert shown[-3:] == [
        "0 of 400 spikes differed from snntorch's in single precision; 2 do where this side "
        "computes in double precision",
        "  lif[3]: x",
        "  lif[1]: y",
    ]
