"""`snnstack latency`: the longest step of a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calls import Run


@pytest.mark.needs_qemu
def test_the_longest_step_is_shown_and_compared_with_the_step(
    run: Run, model: Path, tmp_path: Path
) -> None:
    program = tmp_path / "p"
    run("compile", model, "--board", "nucleo-l4r5zi", "-o", program)
    found = run("latency", program, "--json").json
    assert found["board"] == "nucleo-l4r5zi"
    assert 0 < found["ms"]["low"] <= found["ms"]["typical"] <= found["ms"]["high"]
    assert found["real_time"] == (found["ms"]["high"] <= found["step_ms"])
    text = run("latency", program).out
    assert f"{found['instructions']} instructions, counted in QEMU" in text
    more = run("latency", program, "--count", 3, "--json").json
    assert more["instructions"] > found["instructions"]
