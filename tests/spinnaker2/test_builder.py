"""Networks in chip units: what is built, and every fault named at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from snnstack.backends.spinnaker2.builder import ChipBuilder, replay
from snnstack.errors import ModelError
from snnstack.ir.step import Conv, Dense, Sparse


def messages(builder: ChipBuilder) -> list[str]:
    with pytest.raises(ModelError) as error:
        builder.build()
    return str(error.value).splitlines()


def test_matrices_lists_and_single_synapses_are_the_same_network() -> None:
    weight = np.array([[3, 0, -2], [0, 15, 1]])
    delay = np.array([[0, 0, 7], [0, 2, 0]])
    rows = [[j, i, weight[i, j], delay[i, j]] for i in range(2) for j in range(3) if weight[i, j]]
    random = np.random.default_rng(0).random((2, 30, 3)) < 0.3
    traces = []
    for kind in ("dense", "sparse", "list"):
        builder = ChipBuilder().input("x", 3).population("n", 2, "lif", threshold=20, alpha=0.9)
        if kind == "list":
            builder.connect_list("x", "n", rows)
        else:
            given = weight if kind == "dense" else sparse.csr_matrix(weight)
            wait = delay if kind == "dense" else sparse.csc_matrix(weight).tocsc()
            if kind == "sparse":
                wait = np.array([delay[i, j] for j in range(3) for i in range(2) if weight[i, j]])
            builder.connect("x", "n", given, delay=wait)
        traces.append(replay(builder.build(), random.astype(np.uint8), [("n", "v")]))
    for trace in traces[1:]:
        np.testing.assert_array_equal(trace.states["n", "v"], traces[0].states["n", "v"])


def test_names_of_py_spinnaker2_are_understood() -> None:
    builder = ChipBuilder().input("x", 1)
    builder.population("a", 1, "lif", threshold=1, reset="reset_by_subtraction")
    builder.population("b", 1, "lif", threshold=1, reset="reset_to_v_reset", v_reset=-2)
    network = builder.connect("x", "a", [[1]]).connect("a", "b", [[1]]).build()
    assert [p.reset for p in network.populations] == ["subtract", "v_reset"]
    assert network.outputs == ("b",)
    assert network.population("b").v_reset.dtype == np.float32


def test_the_kinds_of_synapses_are_kept() -> None:
    builder = (
        ChipBuilder().input("x", (1, 4, 4)).population("c", (2, 3, 3), "lif_conv2d", threshold=1)
    )
    builder.conv("x", "c", np.ones((2, 1, 2, 2)))
    builder.population("d", 3, "lif_no_delay", threshold=[1, 2, 3])
    builder.connect("c", "d", sparse.csr_matrix(np.ones((3, 18)))).connect("d", "d", np.eye(3))
    kinds = [type(c.synapses) for c in builder.build().connections]
    assert kinds == [Conv, Sparse, Dense]


def test_every_fault_is_named() -> None:
    builder = ChipBuilder().input("x", 3)
    builder.population("a", 2, "lif_curr_exp", threshold=1, exc_decay=0.5)
    builder.population("b", 2, "lif", threshold=[1, 2, 3], exc_decay=0.5, reset="up")
    builder.population("b", 2, "adex", threshold=float("nan"))  # type: ignore[arg-type]
    builder.connect("x", "c", np.ones((2, 3))).connect("x", "a", np.ones((3, 2)))
    builder.connect("x", "a", np.full((2, 3), 0.5))
    builder.connect_list("x", "a", [[0, 5, 1, 0]])
    assert messages(builder) == [
        "a: lif_curr_exp needs inh_decay",
        "b: reset is 'up'; there are 'v_reset' and 'subtract'",
        "b: lif has no exc_decay (use lif_curr_exp)",
        "b: threshold has shape [3], which does not fit [2] (give one value, or one per neuron)",
        "b: there are two of this name (rename one)",
        "b: application is 'adex'; there are lif, lif_no_delay, lif_curr_exp, "
        "lif_curr_exp_no_delay, lif_conv2d",
        "b: threshold is nan, not finite",
        "x -> c: there is no 'c' yet (add populations before connections)",
        "x -> a: weight has shape [3, 2], not [target, source] = [2, 3]",
        "x -> a: weight is 0.5, not a whole number",
        "x -> a: there is no target neuron 5, only 0..1",
    ]


@pytest.mark.parametrize(
    ("application", "weight", "delay", "message"),
    [
        ("lif", 16, 0, "x -> n: weight 16, lif takes -15..15"),
        ("lif_no_delay", -128, 0, "x -> n: weight -128, lif_no_delay takes -127..127"),
        ("lif", 1, 8, "x -> n: delay of 8 steps, lif takes 0..7"),
        ("lif_no_delay", 1, 2,
         "x -> n: delay of 2 steps, lif_no_delay takes 0..0 (use lif or lif_curr_exp)"),
        ("lif_conv2d", 1, 0, "x -> n: lif_conv2d takes convolutions only "
         "(use lif_no_delay, which takes any synapses)"),
    ],
)  # fmt: skip
def test_what_a_word_cannot_hold_is_refused(
    application: str, weight: int, delay: int, message: str
) -> None:
    builder = ChipBuilder().input("x", 2).population("n", 1, application, threshold=1)  # type: ignore[arg-type]
    builder.connect("x", "n", np.full((1, 2), weight), delay=delay)
    assert messages(builder) == [message]


def test_a_silent_population_feeds_nobody() -> None:
    builder = ChipBuilder().input("x", 1).population("a", 1, "lif", threshold=None)
    builder.population("b", 1, "lif", threshold=1).connect("a", "b", [[1]])
    assert messages(builder) == ["a: does not fire but feeds b"]
