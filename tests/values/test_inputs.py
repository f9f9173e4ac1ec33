"""Networks with two inputs, of two kinds of events, on every target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import verify_reference
from snnstack.errors import DataError, ModelError
from snnstack.frontends import nir
from snnstack.ir.check import check
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.inputs import split
from snnstack.ir.nodes import LIF, Conv2d, Flatten, Input, Linear, Output
from snnstack.loading import discretised
from snnstack.reference.run import run_steps
from snnstack.samples import as_data
from snnstack.trace import Spikes

BOARDS = ("nucleo-l4r5zi", "microbit-v2", "mps3-an547", "oheo-gulch", "spinnaker2-48", "isaac")
RNG = np.random.default_rng(2)


def lif(*shape: int) -> LIF:
    ones = np.ones(shape)
    return LIF(10e-3 * ones, ones, 0 * ones, 0 * ones, 0.3 * ones, reset="zero")


def fusion(picture: str = "binary", sound: str = "binary", delay: float | None = None) -> Graph:
    """A convolution over pictures and a dense layer over sound, fused in a third."""
    nodes = {
        "picture": Input((2, 6, 6), picture),
        "sound": Input((9,), sound),
        "conv": Conv2d(
            None, RNG.normal(0, 1, (3, 2, 3, 3)), (1, 1), (1, 1), (1, 1), 1, np.zeros(3)
        ),
        "seen": lif(3, 6, 6),
        "flat": Flatten(None, 0, -1),
        "ear": Linear(RNG.normal(0.4, 0.8, (11, 9))),
        "heard": lif(11),
        "look": Linear(RNG.normal(0.05, 0.3, (5, 108))),
        "listen": Linear(RNG.normal(0.2, 0.6, (5, 11))),
        "fused": lif(5),
        "result": Output((5,)),
    }
    pairs = [("picture", "conv"), ("conv", "seen"), ("seen", "flat"), ("flat", "look"),
             ("look", "fused"), ("ear", "heard"), ("heard", "listen"), ("listen", "fused"),
             ("fused", "result")]  # fmt: skip
    edges = [Edge(*pair, 0 if delay else None) for pair in pairs]
    edges.append(Edge("sound", "ear", int(delay) if delay else None))
    return Graph(nodes, tuple(edges), dt=1e-3, integrator="euler")


def samples(picture: int = 1, sound: int = 1, batch: int = 6, steps: int = 20) -> dict[str, Any]:
    def drawn(most: int, *shape: int) -> Any:
        x = RNG.integers(1, most + 1, (batch, steps, *shape))
        return (x * (RNG.random(x.shape) < 0.25)).astype(np.uint8)

    return {"x_picture": drawn(picture, 2, 6, 6), "x_sound": drawn(sound, 9),
            "y": np.arange(batch) % 5}  # fmt: skip


def test_the_door_is_both_inputs_side_by_side() -> None:
    steps, data = discretised(fusion()), samples()
    spikes = as_data(data, steps.port).spikes
    assert spikes.shape == (81,) and steps.port.name == "picture+sound"
    parts = split(spikes, steps.inputs)
    assert np.array_equal(parts["picture"].dense(), data["x_picture"])
    assert np.array_equal(parts["sound"].dense(), data["x_sound"])


def test_each_input_reaches_its_own_layer() -> None:
    """What is heard does not depend on what is seen: equal to the network without eyes."""
    graph = fusion()
    alone = {k: n for k, n in graph.nodes.items() if k in ("sound", "ear", "heard")}
    alone["out"] = Output((11,))
    edges = (Edge("sound", "ear"), Edge("ear", "heard"), Edge("heard", "out"))
    data = samples()
    steps, deaf = discretised(graph), discretised(graph.with_(nodes=alone, edges=edges))
    both = run_steps(steps, as_data(data, steps.port).spikes)
    one = run_steps(deaf, Spikes.from_dense(data["x_sound"]))
    assert np.array_equal(both.spikes["heard"].dense(), one.spikes["heard"].dense())
    assert one.spikes["heard"].total and both.spikes["seen"].total and both.spikes["fused"].total


@pytest.mark.needs_qemu
@pytest.mark.needs_lava
@pytest.mark.parametrize("board", BOARDS)
def test_every_target_takes_them(board: str, tmp_path: Path) -> None:
    data = samples()
    built = snnstack.build(fusion(), board, data)
    found = snnstack.verify(built.program, data, 3)
    assert not found.differences and found.states_compared
    snnstack.save(built, tmp_path / "p")
    program, integers = snnstack.open_program(tmp_path / "p")
    assert not verify_reference(program, integers, data).differences
    np.savez(tmp_path / "x.npz", **data)
    one, other = snnstack.emulate(program, data), snnstack.emulate(program, tmp_path / "x.npz")
    assert np.array_equal(one.spikes["fused"].dense(), other.spikes["fused"].dense())


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("kinds", "most"),
    [(("count", "count"), (3, 9)), (("binary", "count"), (1, 9)), (("value", "value"), (90, 9)),
     (("value", "binary"), (90, 1))],
)  # fmt: skip
@pytest.mark.parametrize("delay", [None, 3])
def test_firmware_of_other_kinds_of_events(
    kinds: tuple[str, str], most: tuple[int, int], delay: int | None
) -> None:
    data = samples(*most)
    for board in ("nucleo-l4r5zi", "microbit-v2"):
        built = snnstack.build(fusion(*kinds, delay), board, data)
        found = snnstack.verify(built.program, data)
        assert not found.differences and found.states_compared


def test_they_travel_in_a_file(tmp_path: Path) -> None:
    nir.write(fusion(), tmp_path / "n.nir")
    again = snnstack.load(tmp_path / "n.nir")
    assert [(k, n.shape, n.events) for k, n in again.inputs().items()] == [
        ("picture", (2, 6, 6), "binary"),
        ("sound", (9,), "binary"),
    ]


def test_rows_and_accuracy_come_as_for_one_input() -> None:
    data = samples()
    row = snnstack.bench(fusion(), ["nucleo-l4r5zi"], data, verify_samples=2)[0]
    assert row.accuracy is not None and row.bit_exact


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_sound": None}, "data: holds x_picture (the network's inputs want x_picture, x_sound)"),
        ({"x_smell": 1}, "data: holds x_picture, x_sound, x_smell (the network's inputs want"),
        ({"x_sound": np.zeros((6, 19, 9), np.uint8)},
         "data: samples x steps differ: x_picture 6 x 20, x_sound 6 x 19 (pad the shorter ones)"),
        ({"x_sound": np.zeros((6, 20, 8), np.uint8)}, "input 'sound' needs [sample, step, 9]"),
    ],
)  # fmt: skip
def test_samples_that_do_not_fit_are_named(change: dict[str, Any], message: str) -> None:
    data = {k: v for k, v in {**samples(), **change}.items() if v is not None}
    with pytest.raises(DataError) as told:
        as_data(data, discretised(fusion()).port)
    assert message in str(told.value)


def test_other_data_than_two_arrays_is_refused(tmp_path: Path) -> None:
    port = discretised(fusion()).port
    with pytest.raises(DataError) as told:
        as_data("events:somewhere?bin=1ms", port)
    assert "give an .npz with x_picture, x_sound and y" in str(told.value)
    with pytest.raises(DataError) as told:
        as_data({"x_sound": samples()["x_sound"]}, port.parts[1])
    assert "holds x_sound, the network has one input, 'sound'" in str(told.value)


def test_real_numbers_beside_spikes_are_refused() -> None:
    with pytest.raises(ModelError) as told:
        check(fusion("real", "binary"))
    assert "its inputs take different kinds of events: picture real, sound binary" in str(
        told.value
    )
