"""Files of other tools, unedited, give what the tools computed: spike by spike.

`tests/frontends/written/<tool>.npz` holds the files that released versions exported, the input,
and the tool's own run; `scripts/golden/run_<tool>.py` made them. None of the tools is needed here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.errors import ModelError
from snnstack.loading import discretised, load
from snnstack.passes.options import Options
from snnstack.reference import run_steps
from snnstack.trace import Spikes

PLACE = Path(__file__).parent / "written"
SAID = ("dt", "reset", "reset_time", "compare")
TOOLS = sorted(path.stem for path in PLACE.glob("*.npz"))


@dataclass(frozen=True)
class Case:
    """One exported network: what was said about it, its file, input and the tool's output."""

    about: dict[str, Any]
    file: bytes
    x: Any
    out: Any

    def options(self, tool: str) -> Options:
        said = {key: value for key, value in self.about.items() if key in SAID}
        return Options(written_by=tool.partition("_")[0], **said)


@cache
def recorded(tool: str) -> dict[str, Case]:
    held = np.load(PLACE / f"{tool}.npz")
    cases = json.loads(held["about"].tobytes())["cases"]
    return {
        name: Case(about, held[f"{name}.nir"].tobytes(), held[f"{name}.x"], held[f"{name}.out"])
        for name, about in cases.items()
    }


CASES = [(tool, name) for tool in TOOLS for name in recorded(tool)]


def computed(graph: Any, x: Any) -> Any:
    """[sample, step, *shape]: spikes of the output, or its membranes where it does not fire."""
    steps = discretised(graph)
    (name,) = steps.outputs
    trace = run_steps(steps, Spikes.from_dense(x), [(name, "v")])
    return trace.spikes[name].dense() if name in trace.spikes else trace.states[name, "v"]


@pytest.mark.parametrize(("tool", "name"), CASES, ids=lambda part: part)
def test_a_file_gives_the_tool_s_own_run(tool: str, name: str, tmp_path: Path) -> None:
    case = recorded(tool)[name]
    path = tmp_path / f"{name}.nir"
    path.write_bytes(case.file)
    if "refused" in case.about:
        with pytest.raises(ModelError, match=case.about["refused"]):
            load(path, case.options(tool))
        return
    graph = load(path, case.options(tool))
    notes = "\n".join(graph.metadata.get("notes", ()))
    assert case.about.get("claims", "") in notes
    found = computed(graph, case.x)
    assert found.shape == case.out.shape
    if case.about.get("differs"):
        assert (found != case.out).any()
    elif case.about["spikes"] is None:
        np.testing.assert_allclose(found + case.about.get("rest", 0.0), case.out, rtol=2e-4,
                                   atol=2e-5)  # fmt: skip
    else:
        np.testing.assert_array_equal(found, case.out)


@pytest.mark.parametrize("name", ["conv", "rlif", "parallel"])
def test_a_step_that_is_said_changes_no_layer(name: str, tmp_path: Path) -> None:
    case = recorded("spyx")[name]
    path = tmp_path / f"{name}.nir"
    path.write_bytes(case.file)
    found = computed(load(path, Options(written_by="spyx", dt=1.0)), case.x)
    np.testing.assert_array_equal(found, case.out)


def test_the_documentation_states_how_many_were_compared() -> None:
    every = [recorded(tool)[name] for tool, name in CASES]
    equal = [c for c in every if not {"refused", "differs"} & set(c.about)]
    spiking = [c for c in equal if c.about["spikes"] is not None]
    spikes, slots = (sum(c.about["spikes"] for c in spiking), sum(c.out.size for c in spiking))
    said = (
        f"{len(equal)} give the tool's run: {len(spiking)} of them spike, {spikes:,} spikes in "
        f"{slots:,} slots, 0 differences"
    )
    assert said in (Path(__file__).parents[2] / "docs" / "trust.md").read_text()
