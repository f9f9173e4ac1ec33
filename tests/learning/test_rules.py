"""Rules as data, and the dense definition of what they do, against Brian2 and given vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack import Cells, Edge, Graph, Next, Plastic, neuron
from snnstack.dynamics.rule_library import RULES
from snnstack.dynamics.rule_written import read_rule, rule_data, same_rule
from snnstack.errors import ModelError
from snnstack.frontends.nir import from_nir, to_nir
from snnstack.ir.graph import same
from snnstack.ir.nodes import IF, Conv2d, Flatten, Input, Linear, Output, Scale
from snnstack.passes.discretise import discretise
from snnstack.reference import run_steps
from snnstack.reference.learning import Learner

BRIAN2 = Path(__file__).parent / "goldens" / "brian2.npz"
PAIR = {
    "decay_pre": np.exp(-1 / 17),
    "decay_post": np.exp(-1 / 29),
    "a_plus": 0.05,
    "a_minus": 0.04,
    "w_max": 1.0,
}
TRIPLET = {
    "decay_r1": np.exp(-1 / 16.8),
    "decay_r2": np.exp(-1 / 101),
    "decay_o1": np.exp(-1 / 33.7),
    "decay_o2": np.exp(-1 / 125),
    "a2_plus": 0.01,
    "a2_minus": 0.02,
    "a3_plus": 0.02,
    "a3_minus": 0.003,
    "w_max": 1.0,
}


@neuron("v")
def forced(n: Any, x: Any, teach: Any) -> Next:
    """Fires when it is told to; what synapses bring is only shown."""
    return Next({"v": x}, teach > 0.5)


def taught(plastic: Plastic, w: Any, extra: int = 0) -> Graph:
    """Sources that are one part of the input, targets that fire as the rest says."""
    targets, sources = w.shape
    nodes: dict[str, Any] = {
        "pre": Input((sources,)),
        "told": Input((targets,)),
        "w": Linear(w, rule=plastic),
        "one": Linear(np.eye(targets)),
        "post": Cells((targets,), forced, {}),
        "out": Output((targets,)),
    }
    ends = [("pre", "w"), ("told", "one"), ("post", "out")]
    edges = [Edge(*pair) for pair in ends]
    edges += [Edge("w", "post", None, "x"), Edge("one", "post", None, "teach")]
    return Graph(nodes, tuple(edges), 1e-3, "euler")


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_is_data_and_back(name: str) -> None:
    rule = RULES[name]
    again = read_rule(json.loads(json.dumps(rule_data(rule))))
    assert same_rule(rule, again)
    assert rule_data(again) == rule_data(rule)
    assert rule.source


@pytest.mark.parametrize(
    "name", ["pair_stdp", "nearest_stdp", "soft_stdp", "nearest_soft_stdp", "triplet_stdp"]
)
def test_weights_are_those_of_brian2(name: str) -> None:
    """In every one of 400 steps, with spikes of both sides in the same step among them."""
    golden = np.load(BRIAN2)
    pre, post, w = golden["pre"], golden["post"], golden["w"]
    values = TRIPLET if name == "triplet_stdp" else PAIR
    learner = Learner(Plastic(RULES[name], values), w, 1)
    for t in range(len(pre)):
        learner(pre[t][None].astype(float), post[t][None].astype(float), {}, None)
        np.testing.assert_allclose(learner.weights[0], golden[name][t], rtol=0, atol=1e-12)
    assert (pre.any(axis=1) & post.any(axis=1)).sum() > 10
    assert np.abs(golden[name][-1] - w).max() > 0.1


def test_a_network_learns_as_its_synapses_do() -> None:
    golden = np.load(BRIAN2)
    steps = discretise(taught(Plastic(RULES["pair_stdp"], PAIR), golden["w"]))
    x = np.concatenate([golden["pre"], golden["post"]], axis=1)[None].astype(np.float64)
    trace = run_steps(steps, x, [("post", "v")])
    np.testing.assert_allclose(
        trace.weights["pre -> post"][0], golden["pair_stdp"][-1], rtol=0, atol=1e-12
    )
    before = np.concatenate([golden["w"][None], golden["pair_stdp"][:-1]])
    sums = np.einsum("kts,ks->kt", before, golden["pre"].astype(float))
    np.testing.assert_allclose(trace.states["post", "v"][0], sums, rtol=0, atol=1e-11)


def test_a_delay_is_in_front_of_the_synapse() -> None:
    """A spike meets a synapse, and its trace begins, when it arrives."""
    golden = np.load(BRIAN2)
    graph = taught(Plastic(RULES["pair_stdp"], PAIR), golden["w"])
    edges = tuple(Edge("w", "post", 3, "x") if e.source == "w" else e for e in graph.edges)
    pre, post = golden["pre"].astype(float), golden["post"].astype(float)
    early = np.concatenate([pre[3:], np.zeros((3, pre.shape[1]))])
    pre[:3] = 0
    late = run_steps(discretise(graph.with_(edges=edges)), np.hstack([early, post])[None])
    now = run_steps(discretise(graph), np.hstack([pre, post])[None])
    assert np.array_equal(late.weights["pre -> post"], now.weights["pre -> post"])


def test_every_sample_starts_from_the_same_weights() -> None:
    golden = np.load(BRIAN2)
    steps = discretise(taught(Plastic(RULES["soft_stdp"], PAIR), golden["w"]))
    x = np.concatenate([golden["pre"], golden["post"]], axis=1).astype(np.float64)
    both = run_steps(steps, np.stack([x, x[::-1]])).weights["pre -> post"]
    assert np.array_equal(both[1:], run_steps(steps, x[::-1][None]).weights["pre -> post"])


def test_reward_writes_what_is_eligible() -> None:
    """By hand: x is 1 then 0.5 where the target fires; e = 0.5 a_plus; paid two steps later."""
    values = {"decay_pre": 0.5, "decay_post": 0.5, "decay_e": 0.25, "a_plus": 2.0, "a_minus": 1.0,
              "rate": 4.0, "w_max": 9.0}  # fmt: skip
    learner = Learner(Plastic(RULES["reward_stdp"], values, "r"), np.array([[0.125]]), 1)
    rows = [(1, 0, 0), (0, 1, 0), (0, 0, 0), (0, 0, 1)]
    for pre, post, reward in rows:
        learner(*(np.array([[float(k)]]) for k in (pre, post)), {}, np.array([[float(reward)]]))
    assert learner.weights.item() == 0.125 + 4.0 * (2.0 * 0.5 * 0.25**2)
    assert learner.synapse["e"].item() == 0.25**3


def test_eprop_is_the_gradient_of_a_filtered_error() -> None:
    """By hand, Bellec 2020: psi = gamma / th max(0, 1 - |u - th| / th) with u before the reset."""
    values = {"alpha": 0.5, "kappa": 0.5, "gamma": 0.3, "threshold": 2.0, "rate": 1.0,
              "w_min": -9.0, "w_max": 9.0}  # fmt: skip
    learner = Learner(Plastic(RULES["eprop"], values, "L"), np.array([[0.0]]), 1)

    def one(pre: float, post: float, v: float, signal: float) -> None:
        learner(*np.array([[[pre]], [[post]]]), {"v": np.array([[v]])}, np.array([[signal]]))

    one(1, 0, 1.5, 0.0)  # z 1; psi 0.15 (1 - 0.25) = 0.1125; e 0.1125
    one(0, 1, 0.5, 2.0)  # z 0.5; u 2.5: psi 0.1125; e 0.05625 + 0.05625 = 0.1125
    assert learner.weights.item() == pytest.approx(-0.225, abs=1e-15)


def test_oja_keeps_the_first_principal_component() -> None:
    """Oja 1982: the weights of a target go to the leading eigenvector, with norm 1."""
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(6, 6)) * np.array([3.0, 1, 1, 1, 1, 1])[:, None]
    data = rng.normal(size=(6000, 6)) @ mixing / 6
    _, vectors = np.linalg.eigh(data.T @ data)
    values = {"decay_pre": 0.0, "decay_post": 0.0, "rate": 0.01}
    learner = Learner(Plastic(RULES["oja"], values), rng.normal(0, 0.1, (1, 6)), 1)
    for x in data:
        x = x[None]
        learner(x, learner.deliver(x), {}, None)
    w = learner.weights[0, 0]
    assert np.linalg.norm(w) == pytest.approx(1, abs=0.1)
    assert abs(w @ vectors[:, -1]) / np.linalg.norm(w) > 0.99


def test_a_delta_rule_finds_the_least_squares_answer() -> None:
    rng = np.random.default_rng(3)
    wanted = rng.normal(size=(2, 4))
    values = {"decay": 0.0, "rate": 0.1, "w_min": -9.0, "w_max": 9.0}
    learner = Learner(Plastic(RULES["pes"], values, "error"), np.zeros((2, 4)), 1)
    for x in rng.normal(size=(800, 1, 4)):
        learner(x, np.zeros((1, 2)), {}, learner.deliver(x) - x @ wanted.T)
    np.testing.assert_allclose(learner.weights[0], wanted, rtol=0, atol=1e-6)


@pytest.mark.data
def test_lateral_circuits_learn_as_given(data_dir: Path) -> None:
    """A first update from rest: the mean of what the samples of a batch ask for."""
    golden = np.load(data_dir / "systems" / "hlop" / "golden.npz")
    x, w = golden["lateral_x"], golden["lateral_H_before"]
    learner = Learner(Plastic(RULES["lateral_hebb"], {"rate": 0.02, "momentum": 0.9}), w, len(x))
    learner(x, learner.deliver(x), {}, None)
    frozen = int(golden["lateral_frozen"])
    change = (learner.weights - w).mean(axis=0)[frozen:]
    np.testing.assert_allclose(change, golden["lateral_updates"][0][frozen:], rtol=0, atol=1e-12)


@pytest.mark.data
def test_one_shot_memory_writes_the_given_weights(data_dir: Path) -> None:
    """60 items: every bit of the weights of all 384 cells."""
    golden = np.load(data_dir / "systems" / "small_nodes" / "golden.npz")
    inputs = {k: golden[k] for k in golden.files if k.startswith("sparsey")}
    pre = inputs["sparsey_x"].reshape(60, -1).astype(float)
    post = (np.arange(16) == inputs["sparsey_code"][..., None]).reshape(60, 384).astype(float)
    learner = Learner(Plastic(RULES["one_shot"], {}, "learn"), np.zeros((384, 144)), 1)
    for x, y in zip(pre, post, strict=True):
        learner(x[None], y[None], {}, np.ones((1, 1)))
    packed = np.load(data_dir / "systems" / "small_nodes" / "weights.npz")["sparsey_W"]
    wanted = np.unpackbits(packed, axis=-1)[..., :144].reshape(384, 144)
    assert np.array_equal(learner.weights[0], wanted)


def test_a_rule_travels_in_a_nir_file() -> None:
    own = RULES["reward_stdp"]
    for rule in (own, read_rule({**rule_data(own), "name": "mine"})):
        values = {"decay_pre": 0.1, "decay_post": 0.2, "decay_e": 0.3, "a_plus": 1 / 3,
                  "a_minus": 1.0, "rate": 4.0, "w_max": 9.0}  # fmt: skip
        graph = taught(Plastic(rule, values, "told"), np.ones((2, 3)))
        again = from_nir(to_nir(graph))
        assert same(again.nodes["w"], graph.nodes["w"])
        assert again.nodes["w"].rule is not None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "w: metadata 'snnstack' says a rule that is none: '{' (write the model again)"),
        ('{"rule": "no", "values": {}, "modulator": null, "order": "at once"}',
         f"w: metadata 'snnstack' says the rule 'no' (known: {', '.join(RULES)})"),
        ('{"rule": "oja", "values": {"rate": "x"}, "modulator": null, "order": "at once"}',
         "w: metadata 'snnstack' says a rule without its numbers (write the model again)"),
        ('{"rule": "oja", "values": {}, "modulator": null, "order": "late"}',
         "w: metadata 'snnstack' says the order 'late' (known: at once, deferred)"),
    ],
)  # fmt: skip
def test_a_damaged_rule_in_a_file_is_refused(text: str, what: str) -> None:
    made = to_nir(taught(Plastic(RULES["oja"], {}), np.ones((2, 3))))
    made.nodes["w"].metadata["snnstack"]["rule"] = text
    with pytest.raises(ModelError) as error:
        from_nir(made)
    assert what in str(error.value)


def test_what_is_wrong_with_a_rule_is_said_at_once() -> None:
    values = {"decay_pre": 1.5, "decay_post": 0.5, "a_plus": np.nan, "a_minux": 1}
    graph = taught(Plastic(RULES["reward_stdp"], values, "dopamine"), np.ones((2, 3)))
    with pytest.raises(ModelError) as error:
        run_steps(discretise(graph), np.zeros((1, 2, 5)))
    assert [str(p) for p in error.value.problems] == [
        "pre -> post: reward_stdp has no parameter 'a_minux' (it has decay_pre, decay_post, "
        "decay_e, a_plus, a_minus, rate, w_min, w_max)",
        "pre -> post: decay_pre is 1.5 (a factor is within 0..1)",
        "pre -> post: reward_stdp has no value for 'decay_e' (give one)",
        "pre -> post: a_plus is nan (one finite number)",
        "pre -> post: reward_stdp has no value for 'a_minus' (give one)",
        "pre -> post: reward_stdp has no value for 'rate' (give one)",
        "pre -> post: reward_stdp has no value for 'w_max' (give one)",
        "pre -> post: its modulator 'dopamine' is not there (one of pre, told, post)",
    ]


def test_a_path_with_other_weights_cannot_learn() -> None:
    plastic = Plastic(RULES["pair_stdp"], PAIR)
    nodes: dict[str, Any] = {
        "in": Input((4,)),
        "w": Linear(np.ones((2, 4)), rule=plastic),
        "scale": Scale(np.ones(2)),
        "n": IF(np.ones(2), np.zeros(2), np.ones(2)),
        "out": Output((2,)),
    }
    ends = [("in", "w"), ("w", "scale"), ("scale", "n"), ("n", "out")]
    graph = Graph(nodes, tuple(Edge(*pair) for pair in ends), 1.0, "euler")
    with pytest.raises(ModelError, match="'w' learns, and 'scale' lies on the same path"):
        discretise(graph)


def test_a_convolution_behind_a_plastic_layer_is_refused() -> None:
    """Shared weights cannot learn, and cannot be hidden behind synapses that do."""
    plastic = Plastic(RULES["pair_stdp"], PAIR)
    nodes: dict[str, Any] = {
        "in": Input((1, 4, 4)),
        "conv": Conv2d((4, 4), np.ones((1, 1, 3, 3)), (1, 1), (0, 0), (1, 1), 1, np.zeros(1)),
        "flat": Flatten((1, 2, 2), 0, -1),
        "w": Linear(np.ones((2, 4)), rule=plastic),
        "n": IF(np.ones(2), np.zeros(2), np.ones(2)),
        "out": Output((2,)),
    }
    names = list(nodes)
    graph = Graph(nodes, tuple(map(Edge, names[:-1], names[1:])), 1.0, "euler")
    with pytest.raises(ModelError, match="'w' learns, and 'conv' lies on the same path"):
        discretise(graph)
