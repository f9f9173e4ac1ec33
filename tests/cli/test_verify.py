"""`verify` and `bench`: the emulator against firmware in QEMU, and what a board costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnstack import api
from snnstack.measure import checks
from snnstack.report.equality import Difference, Equality, compare, joined
from snnstack.trace import Spikes, Trace
from tests.cli.calls import Refused, Run


@pytest.mark.needs_qemu
def test_verify_compares_every_spike_and_state(run: Run, program: Path, data: Path) -> None:
    result = run("verify", program, "--data", data, "--json")
    found = result.json
    assert (result.code, result.err) == (0, "")
    assert found["against"].startswith("qemu-system-arm -M microbit (Cortex-M0), ")
    assert {key: found[key] for key in ("samples", "steps", "mismatches")} == {
        "samples": 5, "steps": 10, "mismatches": 0,
    }  # fmt: skip
    assert (found["spikes_compared"], found["states_compared"]) == (200, 200)
    assert [other["against"] for other in found["also"]] == ["integer reference"]
    shown = run("verify", program, "--data", data, "--samples", 3).out.splitlines()
    assert shown[0] == f"0 mismatches against {found['against']}"
    assert shown[1] == "  3 samples of 10 steps: 120 spike slots and 120 states compared"


@pytest.mark.needs_qemu
def test_batches_that_fit_the_memory_change_nothing(
    run: Run, program: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("verify", program, "--data", data, "--json").json
    monkeypatch.setattr(checks, "BATCH_BYTES", 2 * 10 * 4 * 4)
    assert run("verify", program, "--data", data, "--json").json == whole


def test_joined_results_number_the_samples_on() -> None:
    first = Equality("m", 4, 10, 40, 40, (Difference("a", "v", 3, 1, 2, 5, 6, 7),))
    second = Equality("m", 2, 10, 20, 20, (
        Difference("a", "v", 0, 0, 0, 1, 2, 3), Difference("b", "spike", 1, 2, 3, 0, 1, 1),
    ))  # fmt: skip
    both = joined([first, second])
    assert (both.samples, both.spikes_compared, both.mismatches) == (6, 60, 11)
    assert [str(difference) for difference in both.differences] == [
        "a v: 10 differ, first at sample 3, step 1, neuron 2: emulator 5, other 6",
        "b spike: 1 differ, first at sample 5, step 2, neuron 3: emulator 0, other 1",
    ]


def test_states_that_are_real_numbers_are_shown_with_all_digits() -> None:
    spikes = Spikes.from_dense(np.zeros((1, 1, 2), np.uint8))
    left, right = (
        Trace({"a": spikes}, {("a", "v"): np.array([[[1.0, value]]], np.float32)})
        for value in (0.25, 0.75)
    )
    (found,) = compare(left, right, "a chip").differences
    assert (found.emulator, found.other) == (0.25, 0.75)
    assert str(found) == (
        "a v: 1 differ, first at sample 0, step 0, neuron 1: emulator 0.25, other 0.75"
    )
    whole = Trace({}, {("a", "v"): np.array([[[3]]])}), Trace({}, {("a", "v"): np.array([[[4]]])})
    (one,) = compare(*whole, "a chip").differences
    assert isinstance(one.emulator, int) and (one.emulator, one.other) == (3, 4)


def test_mismatches_are_shown_and_give_exit_code_1(
    run: Run, program: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Equality("a chip", 1, 1, 4, 4, (Difference("lif", "v", 0, 0, 2, 5, 6, 1),))
    monkeypatch.setattr(api, "verify", lambda *a, **k: wrong)
    result = run("verify", program, "--data", data)
    assert (result.code, result.err) == (1, "")
    assert result.out.splitlines()[:3] == [
        "1 mismatches against a chip",
        "  1 samples of 1 steps: 4 spike slots and 4 states compared",
        "  lif v: 1 differ, first at sample 0, step 0, neuron 2: emulator 5, other 6",
    ]


def test_missing_tools_are_named_with_their_install_command(
    refused: Refused, program: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SNNSTACK_TOOLCHAIN", "gcc")
    found = refused("verify", program, "--data", data)
    gcc = "error: arm-none-eabi-gcc: not found (install it: apt-get install gcc-arm-none-eabi)"
    qemu = "error: qemu-system-arm: not found (install it: apt-get install qemu-system-arm)"
    assert set(found.splitlines()) <= {gcc, qemu}
    tool = tmp_path / "qemu-system-arm"
    tool.write_text("")
    tool.chmod(0o755)
    assert refused("verify", program, "--data", data) == gcc


ROW = {
    "board", "target", "samples", "accuracy", "accuracy_float", "spike_agreement", "bit_exact",
    "latency_ms", "energy_uj", "dynamic_uj", "static_uj", "synops", "spikes", "memory",
}  # fmt: skip


@pytest.mark.needs_qemu
def test_bench_gives_one_row_a_board(run: Run, model: Path, data: Path) -> None:
    boards = ("--board", "microbit-v1", "--board", "esp32-c3", "--board", "microbit-v1")
    result = run("bench", model, *boards, "--data", data, "--verify-samples", 2, "--json")
    assert (result.code, result.err) == (0, "")
    rows = result.json
    assert [row["board"] for row in rows] == ["microbit-v1", "esp32-c3"]
    for row in rows:
        assert row.keys() >= ROW
        assert (row["samples"], row["bit_exact"], row["verified"]["samples"]) == (5, True, 2)
        energy = row["energy_uj"]
        assert 0 < energy["low"] <= energy["typical"] <= energy["high"]
        assert row["settings"]["compare"] == "gt"


@pytest.mark.needs_qemu
def test_bench_shows_a_table_and_what_it_rests_on(run: Run, model: Path, data: Path) -> None:
    shown = run("bench", model, "--board", "microbit-v1", "--data", data).out.splitlines()
    assert shown[0].startswith("small: dt 0.001 s (file), integrator euler (file), ")
    assert shown[1].startswith("class: most spikes, ") and "assumed" in shown[1]
    assert shown[2].startswith("5 samples of 10 steps, float accuracy ")
    assert shown[4] == "mean of an inference: expected (lowest-highest), ~ estimated"
    assert shown[7].split()[0] == "microbit-v1"
    assert "yes" in shown[7].split()
    assert shown[8].endswith("instructions counted in QEMU over 5 samples")
    assert shown[9].startswith("  0 mismatches in 5 samples against qemu-system-arm -M microbit")
    assert shown[-1] == "scales fitted to the samples themselves: --calibrate names others"


def test_all_unknown_boards_are_named(refused: Refused, model: Path, data: Path) -> None:
    boards = ("--board", "stm32f4-discover", "--board", "xyz")
    assert refused("bench", model, *boards, "--data", data) == (
        "error: board stm32f4-discover: there is no such board "
        "(did you mean stm32f4-discovery? `snnstack boards` lists all)\n"
        "error: board xyz: there is no such board (`snnstack boards` lists all)"
    )


@pytest.mark.data
def test_bench_names_every_board_that_is_too_small_before_anything_runs(
    refused: Refused, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 2, 2, 34, 34), np.uint8))
    options = ("--reset", "subtract", "--dt", "1", "--data", tmp_path / "x.npz")
    boards = ("--board", "microbit-v1", "--board", "hifive1-revb", "--board", "nucleo-l4r5zi")
    model = data_dir / "nir" / "cnn_sinabs.nir"
    lines = refused("bench", model, *options, *boards).splitlines()
    assert [line.split(":")[1] for line in lines] == [" board microbit-v1", " board hifive1-revb"]
    assert all("16384 available" in line for line in lines)


@pytest.mark.needs_qemu
def test_the_demo_leaves_a_verified_program_for_every_board(
    run: Run, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    boards = ("--board", "microbit-v1", "--board", "esp32-c3")
    result = run("demo", *boards)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "programs: snnstack-demo/<board>"
    assert "microbit-v1" in (tmp_path / "snnstack-demo" / "report.html").read_text()
    for board in ("microbit-v1", "esp32-c3"):
        assert (tmp_path / "snnstack-demo" / board / "manifest.json").is_file()
        assert (tmp_path / "snnstack-demo" / board / "conversion.json").is_file()
    again = refused("demo", *boards)
    assert again == "error: snnstack-demo: already exists (name a new output directory)"
