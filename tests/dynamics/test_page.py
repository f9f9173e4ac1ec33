"""docs/neuron-models.md is today's, and its code runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "neuron-models.md"
SCRIPT = ROOT / "scripts" / "neuron_models.py"


def test_the_page_is_today_s() -> None:
    spec = importlib.util.spec_from_file_location("neuron_models", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert PAGE.read_text() == script.page(), "python scripts/neuron_models.py writes it again"


def test_the_code_of_the_page_runs() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, names)
    times = [np.flatnonzero(column).tolist() for column in names["spikes"].T]
    assert times == [by_hand(jump) for jump in (0.0, 0.5, 2.0)]


def by_hand(jump: float) -> list[int]:
    """When a neuron with constant input fires in 30 steps."""
    v, rise, times = 0.0, 0.0, []
    for t in range(30):
        v = 0.9 * v + 0.4
        fired = v > 1.0 + rise
        rise = 0.8 * rise + jump * fired
        if fired:
            v = 0.0
            times.append(t)
    return times
