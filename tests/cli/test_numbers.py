"""Numbers that no option can mean end in one line and status 2, in every verb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

NONSENSE = ("-1", "nan", "-inf", "1e400", "x", "", "1\n2", "99999999999999999999")
NUMBERS = {
    ("bench", "model.nir", "--data", "d.npz"): ("--samples", "--ann-windows", "--dt"),
    ("verify", "program", "--data", "d.npz"): ("--samples",),
    ("train", "model.nir", "--board", "nucleo-l4r5zi", "--data", "d.npz", "-o", "o"): (
        *("--epochs", "--seed"),
    ),
    ("latency", "program"): ("--count",),
}
CASES = [
    (verb, option, value)
    for verb, options in NUMBERS.items()
    for option in options
    for value in NONSENSE
    if not (value.isdigit() and option in ("--samples", "--epochs", "--dt"))
]


@pytest.mark.parametrize(("verb", "option", "value"), CASES)
def test_a_number_that_makes_no_sense_is_wrong_usage(
    run: Any, tmp_path: Path, verb: tuple[str, ...], option: str, value: str
) -> None:
    for name in ("model.nir", "d.npz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "program").mkdir()
    given = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in verb]
    result = run(*given, option, value)
    assert result.code == 2 and result.out == "", result
    assert "Traceback" not in result.err and "report it" not in result.err


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "1e400"])
def test_a_learning_rate_is_a_positive_number(run: Any, tmp_path: Path, value: str) -> None:
    for name in ("model.nir", "d.npz"):
        (tmp_path / name).write_bytes(b"")
    files = (tmp_path / "model.nir", "--board", "nucleo-l4r5zi", "--data", tmp_path / "d.npz")
    result = run("train", *files, "-o", tmp_path / "o", "--rate", value)
    assert result.code == 2 and "is not a positive number" in result.err
