"""Cells drawn from a preset have the moments of its published fit, and belong to one chip."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from snnstack import api
from snnstack.backends.crossbar.device import (
    Cells,
    device_names,
    drift,
    generator,
    load_device,
    program_cells,
    programming_sigma,
    quantise,
    random_cells,
    read_noise,
    read_sigma,
    stuck,
)
from snnstack.board import load_board, with_values
from snnstack.errors import DataError, ModelError, TargetError

FOLDER = Path(__file__).resolve().parents[2] / "backends" / "crossbar" / "devices"
MICRO = 1e-6
MANY = (400, 250)
PROGRAMMED = [name for name in device_names() if name != "random-forming"]

# Spread in uS about a target in uS, from the tables of the publications' fits.
SPREADS = {
    "pcm": {6.25: 0.681, 12.5: 0.953, 18.75: 1.077, 25.0: 1.055},
    "wan2022": {10.0: 2.253, 20.0: 2.019, 30.0: 1.535, 40.0: 1.103},
    "wan2022-cubic": {10.0: 2.4136, 20.0: 2.3618, 40.0: 1.7074},
    "milo2021": {50.0: 4.3267, 137.5: 3.5298, 225.0: 2.7329},
    "cmo-reram-0.2": {9.0: 0.010430, 50.0: 0.054251, 88.0: 0.094865},
    "cmo-reram-2": {9.0: 0.11283, 50.0: 0.57572, 88.0: 1.00474},
}


def draw(name: str, target_us: float, seed: int = 1) -> Cells:
    """Many programmed cells in uS."""
    return program_cells(load_device(name), np.full(MANY, target_us * MICRO), seed).g / MICRO


def clamped_moments(mean: float, spread: float) -> tuple[float, float]:
    """(mean, standard deviation) of max(N(mean, spread), 0)."""
    at = mean / spread
    first = mean * norm.cdf(at) + spread * norm.pdf(at)
    second = (mean**2 + spread**2) * norm.cdf(at) + mean * spread * norm.pdf(at)
    return first, math.sqrt(second - first**2)


@pytest.mark.parametrize("name", PROGRAMMED)
def test_programmed_cells_have_the_published_spread(name: str) -> None:
    for target, spread in SPREADS[name].items():
        cells = draw(name, target)
        assert cells.std() == pytest.approx(spread, rel=0.02)
        assert cells.mean() == pytest.approx(target, rel=0.02)


@pytest.mark.parametrize("name", PROGRAMMED)
def test_every_state_has_the_moments_of_a_clamped_normal(name: str) -> None:
    device = load_device(name)
    for target in np.linspace(device.low, device.high, 7):
        spread = float(programming_sigma(device, target)) / MICRO
        mean, std = clamped_moments(target / MICRO, spread)
        cells = draw(name, target / MICRO, seed=3)
        assert cells.min() >= 0
        assert cells.mean() == pytest.approx(mean, rel=0.02)
        assert cells.std() == pytest.approx(std, rel=0.02)


def test_a_conductance_that_would_be_negative_is_zero() -> None:
    """The policy: clamped at zero, so that half of the cells of a target of 0 are exactly 0."""
    cells = draw("pcm", 0.0)
    assert cells.min() == 0
    assert (cells == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert cells[cells > 0].std() == pytest.approx(0.26348 * math.sqrt(1 - 2 / math.pi), rel=0.02)
    device = load_device("cmo-reram-2")
    tiny = np.full(MANY, 0.1 * MICRO)
    assert drift(device, tiny, 1e6, 1).min() == 0
    assert read_noise(load_device("pcm"), tiny, 1e9, 1).min() == 0


def test_phase_change_cells_drift_by_a_power_of_time() -> None:
    device, x = load_device("pcm"), np.array([0.05, 0.25, 0.5, 1.0])
    mean = np.clip(-0.0155 * np.log(x) + 0.0244, 0.049, 0.1)
    spread = np.clip(-0.0125 * np.log(x) - 0.0059, 0.008, 0.045)
    for share, nu, std in zip(x, mean, spread, strict=True):
        before = np.full(MANY, share * 25 * MICRO)
        after = drift(device, before, 2e4, seed=4)
        found = -np.log(after / before) / math.log(1000.0)
        assert found.mean() == pytest.approx(nu, rel=0.02)
        assert found.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("name", ["cmo-reram-0.2", "cmo-reram-2"])
def test_cmo_cells_relax_with_the_logarithm_of_time(name: str) -> None:
    before = np.full(MANY, 50 * MICRO)
    for t in (1.0, 100.0, 1e5):
        change = (drift(load_device(name), before, t, seed=5) - before) / MICRO
        spread = 0.042 * math.log(t) + 0.412
        assert change.mean() == pytest.approx(-0.089 * math.log(t), abs=0.02 * spread)
        assert change.std() == pytest.approx(spread, rel=0.02)


@pytest.mark.parametrize("name", ["wan2022-cubic", "milo2021", "random-forming"])
def test_devices_without_a_law_stay_as_they_are(name: str) -> None:
    device, g = load_device(name), np.full(MANY, 10 * MICRO)
    assert np.array_equal(drift(device, g, 1e6, 1), g)
    assert np.array_equal(read_noise(device, g, 1e6, 1), g)


def test_relaxing_cells_reach_the_spread_of_each_moment() -> None:
    """After 1 s, 1 day, 2 days and later, as published; in between somewhere in between."""
    device, x = load_device("wan2022"), 0.5
    day = 0.701 + 22.086 * x - 50.773 * x**2 + 47.095 * x**3 - 16.458 * x**4
    two = 0.782 + 20.274 * x - 43.507 * x**2 + 37.062 * x**3 - 11.934 * x**4
    cells = program_cells(device, np.full(MANY, 20 * MICRO), 5).g
    for t, spread in ((0.5, 2.0229), (1.0, 2.0229), (86400, day), (172800, two), (1e9, two)):
        later = drift(device, cells, t, 5) / MICRO
        assert later.std() == pytest.approx(spread, rel=0.02)
        assert later.mean() == pytest.approx(20, rel=0.02)
    hour = drift(device, cells, 3600, 5).std() / MICRO
    assert 2.2 < hour < day - 0.2


def test_a_cell_follows_one_path_in_time() -> None:
    device, g = load_device("pcm"), np.full(MANY, 12 * MICRO)
    early, late = (drift(device, g, t, seed=6, tile=2) for t in (1e3, 1e6))
    order = np.argsort(early, axis=None)
    assert (np.diff(late.ravel()[order]) >= 0).all()
    assert np.array_equal(drift(device, g, 0.0, 6, 2), g)
    assert np.array_equal(drift(device, g, 5.0, 6, 2), drift(device, g, 20.0, 6, 2))


def test_reads_have_the_published_noise() -> None:
    t, x = 100.0, 0.5
    growth = math.sqrt(math.log((t + 250e-9) / 500e-9))
    cases = {
        ("pcm", x * 25): x * 25 * 0.0088 * x**-0.65 * growth,
        ("pcm", 0.001): 0.001 * 0.2 * growth,
        ("cmo-reram-2", 50.0): 0.02773 * math.log(50) * math.sqrt(math.log((t + 1e-6) / 2e-6)),
    }
    for (name, g), spread in cases.items():
        device, cells = load_device(name), np.full(MANY, g * MICRO)
        assert read_sigma(device, cells[0, 0], t) / MICRO == pytest.approx(spread, rel=1e-12)
        noisy = read_noise(device, cells, t, seed=7) / MICRO
        mean, std = clamped_moments(g, spread)
        assert noisy.mean() == pytest.approx(mean, rel=0.02)
        assert noisy.std() == pytest.approx(std, rel=0.02)


def test_forming_draws_a_spike_and_a_slab() -> None:
    device = load_device("random-forming")
    for volt in (3.2, 3.433, 3.6):
        cells = random_cells(device, MANY, seed=8, volt=volt) / MICRO
        formed = cells[cells != 0.1]
        assert formed.size / cells.size == pytest.approx(norm.cdf((volt - 3.433) / 0.114), rel=0.02)
        assert formed.mean() == pytest.approx(12.35, rel=0.02)
        assert formed.std() == pytest.approx(1.86, rel=0.02)
    low, high = (random_cells(device, MANY, 8, volt=volt) for volt in (3.3, 3.5))
    assert np.array_equal(high[low > 1 * MICRO], low[low > 1 * MICRO])


def everything(tile: int) -> list[NDArray[Any]]:
    """All draws of one tile of chip 11."""
    pcm, forming = load_device("pcm"), load_device("random-forming")
    target = np.linspace(0, pcm.high, 600).reshape(20, 30)
    cells = program_cells(pcm, target, 11, tile, tolerance=0.5 * MICRO, rounds=4).g
    return [
        cells, drift(pcm, cells, 1e4, 11, tile), read_noise(pcm, cells, 10, 11, tile, read=3),
        stuck(pcm, target.shape, 11, tile, low=0.1, high=0.1).low,
        random_cells(forming, target.shape, 11, tile),
    ]  # fmt: skip


def test_a_chip_is_the_same_in_any_order_and_on_any_threads() -> None:
    alone = [everything(tile) for tile in range(6)]
    backwards = [everything(tile) for tile in reversed(range(6))][::-1]
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(everything, range(6)))
    for one, other, third in zip(alone, backwards, threads, strict=True):
        for a, b, c in zip(one, other, third, strict=True):
            assert np.array_equal(a, b) and np.array_equal(a, c)
    for a, b in zip(alone[0], alone[1], strict=True):
        assert not np.array_equal(a, b)


def test_chips_purposes_and_reads_are_independent() -> None:
    keys = [(1, "program", ()), (2, "program", ()), (1, "drift", ()), (1, "program", 1),
            (1, "program", (1, 0))]  # fmt: skip
    z = [generator(*key).standard_normal(20000) for key in keys]  # type: ignore[arg-type]
    correlation = np.corrcoef(z) - np.eye(len(z))
    assert np.abs(correlation).max() < 0.04


def test_levels_are_evenly_spaced_over_the_range() -> None:
    device = load_device("milo2021")
    g = np.array([0.0, 50.0, 60.0, 80.0, 137.0, 225.0, 400.0]) * MICRO
    np.testing.assert_allclose(
        quantise(device, g, 8) / MICRO, [50, 50, 50, 75, 125, 225, 225], rtol=1e-12
    )
    np.testing.assert_allclose(
        quantise(device, g) / MICRO, [50, 50, 60, 80, 137, 225, 225], rtol=1e-12
    )
    assert len(np.unique(quantise(device, np.linspace(0, 1e-3, 999), 16))) == 16


def test_a_write_that_is_verified_again_costs_and_helps() -> None:
    device, target = load_device("wan2022"), np.full(MANY, 20 * MICRO)
    once = program_cells(device, target, 1)
    assert once.pulses == pytest.approx(8.52 * target.size)
    assert once.typical_j == pytest.approx(8.52 * 50.5e-12 * target.size)
    assert once.low_j < once.typical_j < once.high_j
    again = program_cells(device, target, 1, tolerance=1 * MICRO, rounds=50)
    inside = 2 * norm.cdf(1 / 2.0229) - 1
    assert np.abs(again.g - target).max() <= 1 * MICRO and again.failed == 0
    assert again.writes.mean() == pytest.approx(1 / inside, rel=0.02)
    assert again.pulses == pytest.approx(8.52 * again.writes.sum())
    short = program_cells(device, target, 1, tolerance=1 * MICRO, rounds=2)
    assert short.failed / target.size == pytest.approx((1 - inside) ** 2, rel=0.05)
    assert np.array_equal(once.g, program_cells(device, target, 1, rounds=5).g)


def test_stuck_cells_keep_the_ends_of_the_range() -> None:
    device = load_device("pcm")
    few, more = (stuck(device, MANY, 1, low=low, high=0.05) for low in (0.1, 0.135))
    assert few.low.mean() == pytest.approx(0.1, rel=0.02)
    assert few.high.mean() == pytest.approx(0.05, rel=0.03)
    assert not (few.low & few.high).any() and (more.low | ~few.low).all()
    cells = few.apply(device, np.full(MANY, 12 * MICRO))
    assert set(np.unique(cells)) == {0.0, 12 * MICRO, device.high}
    assert not stuck(device, MANY, 1).low.any()


def test_what_cannot_be_asked_of_a_device_is_said() -> None:
    pcm, forming = load_device("pcm"), load_device("random-forming")
    cases: list[tuple[Any, str]] = [
        (lambda: program_cells(forming, [1e-6], 1),
         "device random-forming: its conductances are drawn by forming and cannot be programmed "
         "(use random_cells)"),
        (lambda: random_cells(pcm, (2,), 1),
         "device pcm: is programmed to targets; it does not draw conductances (use program_cells)"),
        (lambda: quantise(pcm, [0.0], 1),
         "device pcm: levels = 1, expected 0 (any conductance) or at least 2"),
        (lambda: drift(pcm, [1e-6], -1.0, 1), "device pcm: t = -1.0 s, expected 0 or more"),
        (lambda: drift(pcm, [np.nan], 1.0, 1), "device pcm: a conductance is not a finite number"),
        (lambda: stuck(pcm, (2,), 1, low=0.9, high=0.2),
         "device pcm: stuck low 0.9, high 0.2: expected shares, together at most 1"),
        (lambda: program_cells(pcm, [1e-6], 1, rounds=0),
         "device pcm: rounds = 0, tolerance = None: expected at least 1, and above 0"),
        (lambda: program_cells(pcm, [1e-6], -1),
         "random numbers: seed -1, tile (): expected no negative number"),
        (lambda: load_device("pmc"),
         "device pmc: there is no such device (did you mean pcm? presets: "
         f"{', '.join(device_names())})"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises((DataError, TargetError)) as caught:
            call()
        assert str(caught.value) == message


@pytest.mark.parametrize("name", device_names())
def test_every_preset_names_its_sources(name: str) -> None:
    device = load_device(name)
    assert device.temperature == "left out"
    for part in (device.programming, device.drift, device.read):
        assert part.source and part.fit and part.uncertainty
    for part in (device.range, device.write, device.stuck, device.nonlinearity):
        assert part.source


def test_a_file_with_several_mistakes_lists_them_all(tmp_path: Path) -> None:
    text = (FOLDER / "pcm.toml").read_text()
    text = text.replace("high = 25.0", "high = -1.0", 1).replace('kind = "power"', 'kind = "pow"')
    text = text.replace("a2_per_v = 0.0", "a2_per_v = nan").replace("title", "titel", 1)
    file = tmp_path / "pcm.toml"
    file.write_text(text)
    with pytest.raises(TargetError) as caught:
        load_device(file)
    found = [str(problem).removeprefix(f"{file}: ") for problem in caught.value.problems]
    assert [line.split(":")[0] for line in found] == [
        "titel", "title", "range.high = -1.0", "drift.kind = 'pow'", "nonlinearity",
    ]  # fmt: skip
    assert found[-1] == "nonlinearity: a2_per_v = nan, expected a finite number"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "is not TOML: Invalid value (at end of document)"),
        (b"\xff", "is not UTF-8 text: byte 0"),
    ],
)
def test_a_file_that_is_no_device_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(TargetError) as caught:
        load_device(file)
    assert str(caught.value) == f"{file}: {message}"


def test_a_device_of_ones_own_is_loaded_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text((FOLDER / "milo2021.toml").read_text().replace('"milo2021"', '"mine"', 1))
    assert load_device(file).high == pytest.approx(225e-6)
    other = tmp_path / "other.toml"
    other.write_text(file.read_text())
    with pytest.raises(TargetError) as caught:
        load_device(str(other))
    wanted = "name = 'mine', but the file is called other.toml (call it mine.toml)"
    assert str(caught.value) == f"{other}: {wanted}"


def test_a_board_with_a_curved_device_is_refused(tmp_path: Path, examples_dir: Path) -> None:
    text = (FOLDER / "wan2022.toml").read_text().replace('"wan2022"', '"curved"', 1)
    file = tmp_path / "curved.toml"
    file.write_text(text.replace("a3_per_v2 = 0.0", "a3_per_v2 = 0.5"))
    bent = with_values(load_board("rram-40nm-256kb"), {"hardware.device": str(file)})
    with pytest.raises(ModelError) as caught:
        api.build(str(examples_dir / "digits.nir"), bent, str(examples_dir / "digits_train.npz"))
    assert str(caught.value).startswith(
        "board rram-40nm-256kb: device curved has a curved law (a2 0, a3 0.5) (at one read voltage"
    )
