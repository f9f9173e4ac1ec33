"""Lava's process and the names and folders of strangers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.backends.loihi import lava
from snnstack.backends.loihi.lava_text import process_text
from snnstack.backends.loihi.lava_worker import states_file
from snnstack.backends.loihi.network import Programmed
from snnstack.dynamics.expr import E, Table
from snnstack.dynamics.model import Model, Names, Next
from snnstack.dynamics.terms import lut
from snnstack.errors import ModelError
from tests.loihi.chipnets import random_network
from tests.loihi.test_lava import flat


def test_states_are_written_by_number(tmp_path: Path) -> None:
    names = ["../../made", "/made", "a b", "x" * 5000, "a\0b"]
    job: dict[str, Any] = {"populations": [{"name": name} for name in names]}
    found = [states_file(tmp_path, job, name) for name in names]
    assert [file.parent for file in found] == [tmp_path] * 5
    assert len(set(found)) == 5


@pytest.mark.needs_lava
def test_modules_in_the_users_folder_are_not_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("numpy", "json", "snnstack"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    network, data = random_network(np.random.default_rng(0))
    assert lava.run_models([network], [flat(data)])
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("place", ["model", "state", "input", "table"])
@pytest.mark.parametrize("name", ["x\nimport os", "a'b", "__class__", "1x", "é", "a.b", ""])
def test_names_of_a_model_are_identifiers_or_no_text_is_made(name: str, place: str) -> None:
    known = {"model": "own", "state": "v", "input": "x", "table": "t", place: name}

    def step(n: Names, x: E) -> Next:
        return Next({known["state"]: lut(Table(known["table"], (1, 2)), x)})

    model = Model(known["model"], (known["state"],), (), step, inputs=(known["input"],))
    with pytest.raises(ModelError, match="is no name"):
        process_text(Programmed("n", (2,), model))


def test_words_of_python_and_lava_are_names_of_states() -> None:
    def step(n: Names, x: E) -> Next:
        return Next({name: getattr(n, name) + x for name in names}, n.run > 3)

    names = ("lambda", "run", "shape", "np", "t0", "self")
    text = process_text(Programmed("n; import os", (2,), Model("class", names, (), step)))
    compile(text, "text", "exec")
    assert "import os" not in text


@pytest.mark.needs_lava
def test_a_name_is_no_path(tmp_path: Path) -> None:
    network, data = random_network(np.random.default_rng(0))
    new = {p.name: f"../../../../../{tmp_path}/{p.name}" for p in network.populations}
    renamed = replace(
        network,
        populations=tuple(replace(p, name=new[p.name]) for p in network.populations),
        connections=tuple(
            replace(c, source=new.get(c.source, c.source), target=new[c.target])
            for c in network.connections
        ),
    )
    given = flat(data)[:1, :5]
    one = lava.run(network, given, probes=lava.every_probe(network))
    two = lava.run(renamed, given, probes=lava.every_probe(renamed))
    assert list(tmp_path.iterdir()) == []
    for (name, variable), values in one.states.items():
        assert (values == two.states[new[name], variable]).all()
