"""Numbers that once overflowed, were cut to whole ones or joined arrays of another type."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import snnstack
from snnstack.errors import ModelError, TargetError
from snnstack.program import digest
from snnstack.saved_settings import setting_problems
from snnstack.target import backend
from tests.cli.calls import small
from tests.fuzz import sources
from tests.fuzz.checked import needed
from tests.fuzz.kind import BOARDS
from tests.fuzz.kinds import KINDS
from tests.fuzz.tally import tallied
from tests.fuzz.test_found import said


def scaled(factor: float, times: int, weight: float = 1.0) -> nir.NIRGraph:
    """Gains in a row before a layer."""
    one, gains = np.ones(2), [f"gain{k}" for k in range(times)]
    nodes = {"in": nir.Input({"input": np.array([3])})}
    nodes |= {name: nir.Scale(np.full(3, factor)) for name in gains}
    nodes |= {
        "fc": nir.Affine(np.full((2, 3), weight), np.zeros(2)),
        "lif": nir.LIF(tau=0.01 * one, r=one, v_leak=0 * one, v_threshold=one),
        "out": nir.Output({"output": np.array([2])}),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)))


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(("factor", "times"), [(1e38, 3), (1e38, 10)])
def test_gains_in_a_row_stay_within_single_precision(board: str, factor: float, times: int) -> None:
    graph = snnstack.load(scaled(factor, times), snnstack.Options(dt=1e-3))
    text = said(ModelError, lambda: snnstack.compile(graph, board))
    assert "in -> lif: weight has 6 of 6 values" in text
    assert "rescale the layers and gains that lead there" in text


@pytest.mark.parametrize("board", BOARDS)
def test_small_gains_warn_nobody(board: str) -> None:
    graph = snnstack.load(scaled(1e-38, 10), snnstack.Options(dt=1e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snnstack.compile(graph, board)


def test_a_step_of_an_age_overflows_nothing() -> None:
    options = snnstack.Options(dt=1e308, integrator="exponential")
    graph = snnstack.load(sources.conv(), options)
    assert "3.4e+38" in said(ModelError, lambda: snnstack.compile(graph, "microbit-v1"))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("stride", np.array(["*/"], dtype="S2"), "its stride is "),
        ("stride", [np.inf], "its stride is inf, not a whole number"),
        ("stride", [1.5], "its stride is 1.5, not a whole number"),
        ("padding", np.zeros(0), "its padding has 0 numbers, not one or two"),
        ("dilation", [1, 1, 1], "its dilation has 3 numbers, not one or two"),
        ("groups", np.zeros(0), "its groups has 0 numbers, not one or two"),
        ("shape", [np.nan], "its shape is nan, not a whole number"),
        ("shape", [2.5, 4, 4], "its shape is 2.5, not a whole number"),
        ("delay", np.array(["x"], dtype="S1"), "its delay holds no numbers of steps"),
        ("delay", [np.nan], "its delay holds no numbers of steps"),
        ("chipFormat", [8, 0], "its chipFormat is not [bits, exponent, place in mixed"),
        ("chipFormat", [8, 0, 99], "its chipFormat is not [bits, exponent, place in mixed"),
    ],
)
def test_numbers_of_a_netx_layer_are_whole(
    tmp_path: Path, name: str, value: Any, text: str
) -> None:
    from tests.fuzz.sources_models import netx_conv

    netx_conv(tmp_path)
    with h5py.File(tmp_path / "a.net", "r+") as file:
        kinds = [(k, layer["type"][0]) for k, layer in file["layer"].items()]
        where = file[f"layer/{next(k for k, kind in kinds if kind == b'conv')}"]
        if name in where:
            del where[name]
        where[name] = value
    assert text in said(ModelError, lambda: snnstack.load(tmp_path / "a.net"))


@pytest.mark.parametrize("kind", ["bias", "graded"])
def test_a_netx_bias_is_numbers_for_its_neurons(tmp_path: Path, kind: str) -> None:
    from tests.fuzz.sources_models import netx_conv, netx_graded

    for value, text in ((np.ones(7), "7"), (np.array(["x"], dtype="S1"), "not a number")):
        (netx_graded if kind == "graded" else netx_conv)(tmp_path)
        with h5py.File(tmp_path / "a.net", "r+") as file:
            last = file[f"layer/{len(file['layer']) - 1}"]
            last.pop("bias", None)
            last["bias"] = value
        found = said(ModelError, lambda: snnstack.load(tmp_path / "a.net"))
        assert "bias" in found
        assert text in found


def changed(board: str, folder: Path, change: Callable[[Any], None]) -> Path:
    """A saved program whose structure `change` edits, with new digests."""
    sources.program(board)(folder)
    place = folder / "program"
    tree = json.loads((place / "program.json").read_text())
    change(tree)
    (place / "program.json").write_text(json.dumps(tree))
    manifest = json.loads((place / "manifest.json").read_text())
    content = (place / "program.json").read_bytes()
    manifest["files"]["program.json"] = digest({"program.json": content})
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


def test_every_core_says_what_it_uses(tmp_path: Path) -> None:
    def change(tree: Any) -> None:
        del tree["cores"]["$tuple"][0]["used"]["compartments"]

    place = changed("oheo-gulch", tmp_path, change)
    text = said(TargetError, lambda: snnstack.open_program(place))
    assert "core 0: does not count compartments, input_axons" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registers", {"lif": True}),
        ("relays", 3),
        ("rates", {"lif": -1}),
        ("losses", [1]),
        ("origin", "x"),
        ("dt", "1 ms"),
        ("name", 7),
    ],
)
@pytest.mark.parametrize("board", BOARDS)
def test_settings_are_what_is_read_of_them(
    tmp_path: Path, board: str, name: str, value: Any
) -> None:
    def change(tree: Any) -> None:
        tree["settings"][name] = value

    place = changed(board, tmp_path, change)
    text = said(TargetError, lambda: snnstack.open_program(place))
    assert "settings: Expected" in text
    assert name in text


def test_the_settings_of_whole_programs_are_accepted() -> None:
    for board in BOARDS:
        program = snnstack.compile(small(), board)
        assert not list(setting_problems(program.settings))


@pytest.mark.parametrize("kind", ["bool", "uint64"])
def test_arrays_are_of_types_that_join_others(kind: str) -> None:
    """uint64 beside int32 becomes float64, and a row of truths picks instead of naming."""
    program: Any = snnstack.compile(small(), "spinnaker2-chip")
    elements = tuple(replace(e, sources=e.sources.astype(kind)) for e in program.elements)
    files = backend("spinnaker2").emit(replace(program, elements=elements))
    text = said(TargetError, lambda: backend("spinnaker2").load(files))
    assert f"sources: holds {kind}, not integers" in text


@pytest.mark.parametrize(("kind", "seed"), [("onnx step conv", 2065), ("netx", 2075)])
def test_an_input_beyond_the_usual_seeds_that_failed_once(kind: str, seed: int) -> None:
    needed(KINDS[kind])
    assert not tallied(kind, seed, 1).failures
