"""The page of a benchmark: every figure there, nothing loaded, on any screen, from any input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snnstack import api
from snnstack.errors import DataError
from snnstack.report.page import page
from snnstack.report.views import Core, CoreMap, MemoryMap, Part, matrix
from tests.cli.calls import Run
from tests.report.browser import opened
from tests.report.rows import bench_row

SECTIONS = ("Boards", "Energy of one inference", "What a joule buys", "Where the figures come from")


def views() -> list[dict[str, Any]]:
    cores = [
        Core(f"core {k}", k // 3, k % 3, k % 2, {"neurons": (k * 100, 1024)}, {"lif": k * 100})
        for k in range(6)
    ]
    return [
        CoreMap("Placement", 4, 2, tuple(cores)).to_dict(),
        MemoryMap("flash", 4096, (Part("code", 1000), Part("weights", 2000))).to_dict(),
        matrix("tile 0", [[1.0, 2.0], [3.0, 4.0]], "uS").to_dict(),
    ]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [bench_row("board-a"), bench_row("board-b", scale=30.0)]
    rows[0]["figures"]["views"] = views()
    refused = {"board": "tiny", "target": "mcu", "refused": ["board tiny: too small"], "title": ""}
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page([*rows, refused]))
    return path


def test_a_page_is_the_same_for_the_same_rows(file: Path) -> None:
    assert page([bench_row("a")]) == page([bench_row("a")])


def test_every_coefficient_is_one_click_away(file: Path) -> None:
    text = file.read_text()
    targets = {part.split('"')[0] for part in text.split('href="#')[1:]}
    ids = {part.split('"')[0] for part in text.split(' id="')[1:]}
    assert targets <= ids
    assert {"c-1-synop_pj", "c-2-synop_pj", "c-1-power_mw"} <= targets
    assert "https://arxiv.org/abs/2401.04491" in text


def test_what_was_refused_is_said(file: Path) -> None:
    assert "board tiny: too small" in file.read_text()


def with_opponent(board: str, verdict: str = "as accurate") -> dict[str, Any]:
    row = bench_row(board)
    row["ann"] = {
        "latency_ms": 0.5, "energy_uj": {"low": 0.1, "typical": 0.2, "high": 0.4},
        "energy_interval_uj": {"low": 0.1, "high": 0.3}, "basis": "counted", "widths": "8-4",
        "given": "counts", "trained": "trained on much", "verdict": verdict, "accuracy": 0.92,
        "accuracy_float": 0.93, "left_out": ["loops"], "verified_samples": 4, "mismatches": 0,
    }  # fmt: skip
    return row


def test_an_opponent_is_beside_the_boards_that_have_one() -> None:
    rows = [with_opponent("a"), bench_row("b"), with_opponent("c"), with_opponent("d", "better")]
    text = page(rows)
    assert "On a, c: as accurate. On d: better." in text
    assert "92.00 %" in text and "Trained on much" in text and "Left out: loops." in text
    assert text.count('class="mark hollow"') == 2 * 3  # in both plots
    assert "every output is that of its definition" in text
    rows[0]["ann"]["mismatches"] = 1
    assert "some outputs are not those" in page(rows)


def test_text_of_a_file_stays_text() -> None:
    row = bench_row("<script>alert(1)</script>")
    row["energy"]["coefficients"][0]["source"] = "<img src=x onerror=alert(1)> http://x.y/<b>"
    text = page([row])
    assert "<script" not in text and "<img src=x" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("energy"), "a row: object missing required field `energy`"),
        (lambda row: row.update(samples="many"), "samples: expected `int`, got `str`"),
        (
            lambda row: row["energy"]["components"][0].update(kind="magic"),
            "energy.components[0].kind: invalid enum value 'magic'",
        ),
    ],
)
def test_a_row_that_is_none_is_named(change: Any, message: str) -> None:
    row = bench_row("a")
    change(row)
    with pytest.raises(DataError) as error:
        page([row])
    hint = "give the output of `snnstack bench --json`"
    assert str(error.value) == f"bench rows: {message} ({hint})"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"{", "is not JSON: Input data was truncated"),
        (b"[]", "holds no list of rows"),
        (b"[" * 100_000, "is not JSON: maximum recursion depth exceeded"),
        (b"[1]", "a row: expected `object`, got `int`"),
    ],
)
def test_a_file_that_is_no_benchmark_is_named(
    run: Run, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "b.json"
    if content is not None:
        path.write_bytes(content)
    result = run("report", path, "-o", tmp_path / "p.html")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"error: {path}: {message}")
    assert not (tmp_path / "p.html").exists()


@pytest.mark.needs_chromium
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (360, True)])
def test_a_browser_shows_every_figure_and_asks_for_nothing(
    file: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    with opened(file, tmp_path / "profile", width=width, dark=dark) as found:
        page = found.page
        assert found.requests == [file.as_uri()]
        assert found.messages == []
        for section in SECTIONS:
            assert page.get_by_role("heading", name=section, exact=True).is_visible()
        pictures = page.locator("main svg[role=img], main img")
        assert pictures.count() >= 12
        for k in range(pictures.count()):
            box = pictures.nth(k).bounding_box()
            assert box and box["width"] > 20 and box["height"] > 8, k
        image = page.locator("main img").first
        assert image.evaluate("i => i.complete && i.naturalWidth > 0")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 200) is dark
        page.locator("a[href='#c-1-synop_pj']").first.click()
        assert page.locator("[id=c-1-synop_pj]").is_visible()


@pytest.mark.needs_qemu
def test_a_page_of_a_program_and_of_a_saved_benchmark(
    run: Run, model: Path, data: Path, program: Path, tmp_path: Path
) -> None:
    made = run("report", program, "--data", data, "-o", tmp_path / "p.html")
    silent = "note: output lif: 2 of 4 neurons never spike on these samples: 0, 1"
    assert (made.code, made.out) == (0, f"{silent}\nwritten: {tmp_path / 'p.html'}\n")
    assert "Memory map" in (tmp_path / "p.html").read_text()
    rows = run("bench", model, "--board", "microbit-v1", "--data", data, "--json")
    (tmp_path / "rows.json").write_text(rows.out)
    assert run("report", tmp_path / "rows.json", "-o", tmp_path / "q.html").code == 0
    assert (tmp_path / "q.html").read_text() == page(json.loads(rows.out))


def test_a_program_needs_samples(run: Run, program: Path, tmp_path: Path) -> None:
    result = run("report", program, "-o", tmp_path / "p.html")
    assert result.err == f"error: {program}: a program is measured on samples (give --data)\n"


@pytest.mark.needs_qemu
def test_the_api_measures_a_program(program: Path, data: Path) -> None:
    row = api.bench_program(program, data, verify_samples=2)
    assert row.accuracy_float is None and row.spike_agreement is None
    assert row.accuracy is not None and row.bit_exact
