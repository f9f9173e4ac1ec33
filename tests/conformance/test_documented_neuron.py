"""The neuron in docs/neurons.md works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import snnstack
from snnstack.dynamics.own import neuron
from snnstack.errors import ModelError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "neurons.md"


@pytest.mark.needs_qemu
def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)), names)
    assert capsys.readouterr().out.count("differences=()") == 2
    notes = names["chip"].network.settings["cells"]["hidden"]
    assert any("instructions (assumed)" in line for line in notes)
    again = snnstack.build("net.nir", "nucleo-l4r5zi", names["data"])
    first = snnstack.emulate(names["built"].program, names["data"])
    second = snnstack.emulate(again.program, names["data"])
    assert first.spikes["out"].total == second.spikes["out"].total > 0


def test_what_is_no_model_is_said() -> None:
    with pytest.raises(ModelError, match="parameter alpha: has the unit 'kg'"):
        neuron("v", alpha="kg")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="takes 'n' and no input"):
        neuron("v")(lambda n: n)
