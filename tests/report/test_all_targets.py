"""One run over a board of every target, on the demo network and on a Braille network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snnstack import api
from snnstack.passes.options import Options
from snnstack.report.page import page
from snnstack.target import target_names
from tests.report.browser import opened

BOARDS = {
    "mcu": "nucleo-l4r5zi",
    "loihi": "oheo-gulch",
    "spinnaker2": "spinnaker2-chip",
    "crossbar": "neurram",
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_qemu,
    pytest.mark.needs_lava,
    pytest.mark.needs_unicorn,
    pytest.mark.needs_chromium,
]


def measured_and_shown(rows: list[api.BenchRow], tmp_path: Path) -> None:
    """Every row verified, with intervals and sources; every figure in a browser."""
    assert [row.board for row in rows] == list(BOARDS.values())
    for row in rows:
        assert row.bit_exact and row.verified.samples > 0
        assert row.accuracy is not None and row.accuracy_float is not None
        assert row.accuracy > row.accuracy_float - 0.1
        energy = row.performance.energy
        low, typical, high = energy.interval()
        assert 0 < energy.total.low <= low <= typical <= high <= energy.total.high
        assert all(factor.source for factor in energy.factors)
    assert rows[-1].chips is not None and len(rows[-1].chips.accuracies) == 2
    plain = json.loads(json.dumps([row.to_dict() for row in rows]))
    (tmp_path / "page.html").write_text(page(plain))
    with opened(tmp_path / "page.html", tmp_path / "profile") as found:
        assert found.requests == [(tmp_path / "page.html").as_uri()]
        assert found.messages == []
        for heading in ("Memory map", "Cores in use", "Processing elements in use", "Tiles"):
            assert found.page.get_by_role("heading", name=heading).is_visible()
        layers = found.page.get_by_role("heading", name="What quantising cost, layer by layer")
        spikes = found.page.get_by_role("heading", name="Spikes and membranes of sample 0")
        assert layers.count() == spikes.count() == len(BOARDS)
        pictures = found.page.locator("main svg[role=img], main img")
        for k in range(pictures.count()):
            box = pictures.nth(k).bounding_box()
            assert box and box["width"] > 0 and box["height"] > 0


def test_the_demo_network_on_every_target(examples_dir: Path, tmp_path: Path) -> None:
    assert set(BOARDS) <= set(target_names())
    rows = api.bench(
        examples_dir / "digits.nir", list(BOARDS.values()), examples_dir / "digits_test.npz",
        calibrate=examples_dir / "digits_train.npz", samples=60, verify_samples=2, seeds=2,
        ann=api.Ann(weights=examples_dir / "digits_ann.npz"),
    )  # fmt: skip
    measured_and_shown(rows, tmp_path)
    assert "Beside a network without spikes" in (tmp_path / "page.html").read_text()


@pytest.mark.data
def test_a_braille_network_on_every_target(data_dir: Path, tmp_path: Path) -> None:
    rows = api.bench(
        data_dir / "nir" / "braille_noDelay_bias_zero.nir", list(BOARDS.values()),
        data_dir / "braille" / "braille_validation.npz", options=Options(reset="zero"),
        samples=60, verify_samples=1, seeds=2,
    )  # fmt: skip
    measured_and_shown(rows, tmp_path)
