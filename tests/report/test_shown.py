"""One figure, one text: the terminal, the page and the JSON of a benchmark say the same."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack import api
from snnstack.backends.mcu.footprint import measured
from snnstack.cli.bench_tables import show_rows
from snnstack.ir.graph import Graph
from snnstack.ir.nodes import LI
from snnstack.report.numbers import digits
from snnstack.report.operations import FLOAT, INTEGERS
from snnstack.report.page import page
from tests.cli.calls import small
from tests.firmware.firmware_model import needs_gcc

SHOWN = ("nucleo-l4r5zi", "spinnaker2-chip", "neurram")
BOARDS = (*SHOWN, "oheo-gulch")
SMALL_WEIGHTS = np.array([[1.0, -0.5, 0.001], [0.002, 0.9, -0.7], [0.8, 0.3, 0.5], [1, 1, -1]])


def unlike() -> Graph:
    """With weights that some targets round to 0."""
    graph = small()
    nodes = {**graph.nodes, "fc": type(graph.nodes["fc"])(SMALL_WEIGHTS)}
    return graph.with_(nodes=nodes)


def read_out_by_membranes() -> Graph:
    graph = small()
    li = LI(tau=np.full(4, 0.01), r=np.full(4, 10.0), v_leak=np.zeros(4))
    return graph.with_(nodes={**graph.nodes, "lif": li})


NETWORKS = {"small": small, "weights far apart": unlike, "membranes": read_out_by_membranes}


def samples() -> dict[str, Any]:
    x = np.random.default_rng(0).random((7, 30, 3)) < 0.4
    return {"x": x.astype(np.uint8), "y": np.arange(7) % 4}


class Tables(HTMLParser):
    """Rows of cells of every table, by the section it is in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self.section, self.cell = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.section = dict(attrs).get("id") or ""
        if tag == "tr":
            self.found.setdefault(self.section, []).append([])
        if tag == "td":
            self.found[self.section][-1].append("")
        self.cell = tag in ("td", "a", "span", "b") if tag != "td" else True

    def handle_data(self, data: str) -> None:
        rows = self.found.get(self.section)
        if rows and rows[-1]:
            rows[-1][-1] += data.strip()


def terminal(rows: list[api.BenchRow], capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """The cells of the first table by board."""
    capsys.readouterr()
    show_rows(rows)
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    return {c[0]: c for c in (re.split(r"\s{2,}", line.strip()) for line in table) if c}


@pytest.mark.needs_qemu
@pytest.mark.needs_unicorn
@pytest.mark.parametrize("name", NETWORKS)
def test_terminal_page_and_json_say_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = api.bench(
        NETWORKS[name](), SHOWN, samples(), verify_samples=1,
        seeds=2, figures=False,
    )  # fmt: skip
    plain = json.loads(json.dumps([row.to_dict() for row in rows]))
    shown = terminal(rows, capsys)
    html = {c[0]: c for c in Tables(page(plain)).found["boards"] if c}
    for row in plain:
        said, drawn = shown[row["board"]], html[row["board"]]
        mark = "~" if row["board_status"] == "estimated" else ""
        energy, latency = row["energy_uj"], row["latency_band_ms"]
        accuracy = f"{100 * row['accuracy']:.2f}"
        assert said[1] == accuracy and drawn[1].startswith(f"{accuracy} %")
        assert said[2] + " %" == drawn[2] == f"{100 * row['spike_agreement']:.2f} %"
        assert said[3] == drawn[3] == ("yes" if row["bit_exact"] else "NO")
        for text, cell, value in ((said[4], drawn[4], latency), (said[5], drawn[6], energy)):
            assert text == mark + cell
            low, high = digits(value["low"], 2), digits(value["high"], 2)
            assert cell == f"{digits(value['typical'])} ({low}-{high})"
        for cell, key in ((8, "flash"), (9, "ram")):
            used = row["memory"].get(key)
            kib = "-" if used is None else f"{used['used'] / 1024:.1f}"
            assert drawn[cell] == said[cell - 2] == kib


def test_operations_are_those_of_the_network_on_every_board() -> None:
    """Though weights become 0 on some boards, and spikes differ: a count of its own for each."""
    found = []
    for bits in (8, 4):
        rows = api.bench(
            unlike(), BOARDS, samples(), verify_samples=0, weight_bits=bits, figures=False
        )
        found += [row.operations for row in rows]
    assert len(found) == 8 and all(one == found[0] for one in found)
    assert found[0] is not None and found[0].counted_on == FLOAT
    assert found[0].connection_sparsity == 0
    # 12 weights, decay and threshold of 4 neurons, 4 bytes each
    assert found[0].footprint_bytes == 4 * (12 + 8)
    given = int(samples()["x"].sum())
    assert found[0].effective_acs == given * 4 / 7


@pytest.mark.needs_qemu
def test_a_saved_program_is_counted_by_its_integers(tmp_path: Path) -> None:
    kept: list[api.Build] = []
    api.bench(unlike(), "microbit-v1", samples(), verify_samples=0, figures=False, keep=kept.append)
    api.save_all({"program": kept[0]}, tmp_path / "all")
    row = api.bench_program(tmp_path / "all" / "program", samples(), verify_samples=1)
    assert row.operations is not None and row.operations.counted_on == INTEGERS


@needs_gcc
@pytest.mark.needs_qemu
def test_flash_of_a_benchmark_is_what_the_linker_says() -> None:
    kept: list[api.Build] = []
    (row,) = api.bench(
        small(), "nucleo-l4r5zi", samples(), verify_samples=1, figures=False, keep=kept.append
    )
    linked = measured(kept[0].program).memory
    assert row.memory["flash"]["used"] == linked["flash"]
    assert row.memory["ram"]["used"] == linked["ram"]
    assert row.memory_basis.startswith("linked by arm-none-eabi-gcc")
    assert linked["flash"] < kept[0].program.memory["flash"], "the plan is a bound"
