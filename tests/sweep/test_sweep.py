"""Sweeps end with the same table, whoever computed it and whatever was killed on the way."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from snnstack.errors import DataError
from snnstack.sweep import journal
from snnstack.sweep.run import sweep
from snnstack.sweep.spec import make_spec
from tests.cli.calls import Refused, Run
from tests.report.browser import opened

LONG = 180.0
"""Seconds that a loaded machine may take for something quick."""


def spec_of(model: Path, data: Path, **grid: Any) -> Any:
    axes = {"board": ["oheo-gulch", "loihi1"], **grid}
    return make_spec({"model": str(model), "data": str(data), "grid": axes}, "sweep")


def two_hundred(model: Path, data: Path) -> Any:
    thresholds = [round(0.5 + 0.05 * k, 2) for k in range(20)]
    return spec_of(model, data, threshold=thresholds, steps=[2, 4, 6, 8, 10])


def command(model: Path, data: Path, folder: Path) -> list[str]:
    thresholds = ",".join(str(round(0.5 + 0.05 * k, 2)) for k in range(20))
    code = "import sys; from snnstack.cli import main; main(sys.argv[1:])"
    return [
        sys.executable, "-c", code, "sweep", str(model), "--data", str(data), "-o", str(folder),
        "--vary", "board=oheo-gulch,loihi1", "--vary", f"threshold={thresholds}",
        "--vary", "steps=2,4,6,8,10", "--workers", "2",
    ]  # fmt: skip


def finished(folder: Path) -> int:
    path = folder / journal.NAME
    return path.read_bytes().count(b"\n") if path.exists() else 0


def whole(model: Path, data: Path, folder: Path) -> bytes:
    """The table of an undisturbed run by one process."""
    found = sweep(two_hundred(model, data), folder, processes=1)
    assert len(found.rows) == 200 and not found.failed
    return (folder / "results.csv").read_bytes()


def test_the_rows_are_measured(model: Path, data: Path, tmp_path: Path) -> None:
    spec = spec_of(model, data, threshold=[1.0, 50.0], steps=[5, 11])
    found = sweep(spec, tmp_path / "out", processes=1, parquet=True)
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["ok", "refused"] * 4
    assert "has 10 steps, the sweep asks for 11" in rows[1]["why"]
    assert float(rows[0]["spikes"]) > 0 == float(rows[2]["spikes"])
    assert float(rows[0]["energy_uj_low"]) < float(rows[0]["energy_uj_typical"])
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert [row["status"] for row in table] == [row["status"] for row in rows]
    assert table[0]["energy_uj_typical"] == float(rows[0]["energy_uj_typical"])
    assert [row["status"] for row in found.rows] == [row["status"] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_sweep_that_is_ended_leaves_no_worker(
    model: Path, data: Path, tmp_path: Path, number: int
) -> None:
    """The signal goes to the sweep alone, as from a scheduler; its group is empty soon after."""
    folder = tmp_path / "ended"
    process = subprocess.Popen(
        command(model, data, folder), start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    limit = time.monotonic() + LONG
    while finished(folder) < 3 and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.wait(timeout=LONG)
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < limit:
            os.killpg(process.pid, 0)
            time.sleep(0.05)


@pytest.mark.slow
def test_two_hundred_points_killed_and_resumed(model: Path, data: Path, tmp_path: Path) -> None:
    """SIGKILL to the whole group at a random moment, twice; then the same command once more."""
    folder, chance = tmp_path / "killed", random.Random()
    for share in (0.3, 0.7):
        kill_at = int(200 * share * chance.random()) + 1
        before = finished(folder)
        process = subprocess.Popen(
            command(model, data, folder), start_new_session=True, stdout=subprocess.DEVNULL
        )
        limit = time.monotonic() + LONG
        while finished(folder) < min(before + kill_at, 199) and process.poll() is None:
            assert time.monotonic() < limit
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert before < finished(folder) < 200, "killed too early or too late"
    kept = (folder / journal.NAME).read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    subprocess.run(command(model, data, folder), check=True, capture_output=True, timeout=LONG)
    lines = (folder / journal.NAME).read_bytes()
    assert lines.startswith(kept), "a finished point was lost"
    keys = [json.loads(line)["key"] for line in lines.splitlines()]
    assert len(keys) == len(set(keys)) == 200, "a finished point was repeated"
    assert (folder / "results.csv").read_bytes() == whole(model, data, tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_hundred_points_on_a_cluster_that_loses_a_worker(
    model: Path, data: Path, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    killed: list[int] = []
    with LocalCluster(
        n_workers=3, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid

        def kill(done: int, total: int) -> None:
            if done >= 20 and not killed:
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        found = sweep(
            two_hundred(model, data), tmp_path / "cluster", scheduler=cluster.scheduler_address,
            progress=kill,
        )  # fmt: skip
    assert killed and len(found.rows) == 200 and not found.failed
    lines = (tmp_path / "cluster" / journal.NAME).read_text().splitlines()
    keys = [json.loads(line)["key"] for line in lines]
    assert len(keys) == len(set(keys)) == 200
    expected = whole(model, data, tmp_path / "whole")
    assert (tmp_path / "cluster" / "results.csv").read_bytes() == expected


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    with journal.opened(tmp_path) as one:
        one.add("a", {"p": 1}, {"x": 0.1})
    with (tmp_path / journal.NAME).open("ab") as file:
        file.write(b'{"key": "b", "point": {}, "ro')
    with journal.opened(tmp_path) as two:
        assert two.done == {"a": {"x": 0.1}}
        two.add("c", {}, {})
    assert (tmp_path / journal.NAME).read_bytes().count(b"\n") == 2


def test_a_full_disk_marks_no_point_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system writes what it has room for, and says how much that was."""
    write = os.write
    with journal.opened(tmp_path) as one:
        one.add("a", {"p": 1}, {"x": 0.1})
        before = (tmp_path / journal.NAME).read_bytes()
        monkeypatch.setattr(journal.os, "write", lambda file, content: write(file, content[:9]))
        with pytest.raises(DataError) as told:
            one.add("b", {"p": 2}, {"x": 0.2})
        hint = "(the point is run again next time)"
        what = f"points.jsonl: cannot be written: No space left on device {hint}"
        assert str(told.value) == what
        assert list(one.done) == ["a"]
    assert (tmp_path / journal.NAME).read_bytes() == before


def test_a_whole_line_that_is_no_point_is_named(tmp_path: Path) -> None:
    (tmp_path / journal.NAME).write_text('{"key": 1}\n')
    wrong = pytest.raises(DataError, match=r"points.jsonl, line 1: is not a finished point \(del")
    with wrong, journal.opened(tmp_path):
        pass


def test_two_sweeps_do_not_share_a_folder(tmp_path: Path) -> None:
    wrong = pytest.raises(DataError, match="another sweep is writing here")
    with journal.opened(tmp_path), wrong, journal.opened(tmp_path):
        pass


def test_other_data_are_other_points(model: Path, data: Path, tmp_path: Path) -> None:
    spec = spec_of(model, data, threshold=[1.0])
    assert sweep(spec, tmp_path / "out", processes=1).reused == 0
    assert sweep(spec, tmp_path / "out", processes=1).reused == 2
    more = spec_of(model, data, threshold=[1.0, 2.0])
    assert sweep(more, tmp_path / "out", processes=1).reused == 2
    data.write_bytes(data.read_bytes() + b"\0")
    assert sweep(spec, tmp_path / "out", processes=1).reused == 0


def test_no_scheduler_is_one_line(run: Run, model: Path, data: Path, tmp_path: Path) -> None:
    result = run(
        "sweep", model, "--data", data, "-o", tmp_path / "o", "--vary", "board=loihi1",
        "--scheduler", "tcp://127.0.0.1:9",
    )  # fmt: skip
    assert (result.code, result.out) == (1, "")
    where = "error: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers there"
    assert result.err.splitlines()[-1] == f"{where} (tcp://HOST:8786?)"


@pytest.mark.needs_chromium
def test_the_page_of_a_sweep_shows_its_plots(model: Path, data: Path, tmp_path: Path) -> None:
    sweep(spec_of(model, data, threshold=[1.0, 2.0, 3.0]), tmp_path / "out", processes=1)
    page = tmp_path / "out" / "results.html"
    with opened(page, tmp_path / "profile", width=360) as found:
        assert (found.requests, found.messages) == ([page.as_uri()], [])
        assert found.page.locator("main svg[role=img]").count() == 3
        assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_samples_that_are_not_there_are_said_before_any_point(
    refused: Refused, model: Path, tmp_path: Path
) -> None:
    call = ("sweep", model, "--vary", "board=microbit-v1", "-o", tmp_path / "out")
    gone = ("--data", tmp_path / "no.npz", "--calibrate", f"{tmp_path}/none?bin=1ms")
    assert refused(*call, *gone).splitlines() == [
        "error: no.npz: there is no such file (name samples: docs/data.md)",
        "error: none: there is no such file (name samples: docs/data.md)",
    ]
    assert not (tmp_path / "out").exists()


def test_a_sweep_of_which_nothing_can_be_built_says_why(
    run: Run, model: Path, data: Path, tmp_path: Path
) -> None:
    found = run("sweep", model, "--data", data, "--vary", "board=microbit-v1", "--vary",
                "weight_bits=3,5", "-o", tmp_path / "out")  # fmt: skip
    assert found.code == 1
    assert found.out.startswith("2 of 2 points; 2 could not be built\n")
    reasons = found.err.splitlines()
    assert len(reasons) == 2 and all(line.startswith("could not be built: ") for line in reasons)
