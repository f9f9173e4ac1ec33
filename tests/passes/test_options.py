"""apply_options: every choice is made, and its origin recorded."""

import numpy as np

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, LIF, Input, Output
from snnstack.passes.options import Options, apply_options


def lif(**changes: object) -> LIF:
    ones = np.ones(2)
    values = {"tau": ones, "r": ones, "v_leak": 0 * ones, "v_reset": 0 * ones}
    return LIF(**{**values, "v_threshold": ones, **changes})  # type: ignore[arg-type]


def chain(neuron: object, **changes: object) -> Graph:
    nodes = {"x": Input((2,)), "n": neuron, "y": Output((2,))}
    return Graph(nodes=nodes, edges=(Edge("x", "n"), Edge("n", "y")), **changes)  # type: ignore[arg-type]


def test_a_silent_file_gets_defaults_that_say_so() -> None:
    graph = apply_options(chain(lif()), Options())
    assert (graph.dt, graph.integrator) == (1e-4, "euler")
    assert set(graph.settings.values()) == {"default"}


def test_a_network_without_time_constants_runs_in_whole_steps() -> None:
    ones = np.ones(2)
    graph = apply_options(chain(IF(r=ones, v_reset=0 * ones, v_threshold=ones)), Options())
    assert graph.dt == 1.0


def test_what_the_file_says_wins_over_the_default() -> None:
    graph = apply_options(chain(lif(), dt=1e-3, integrator="exponential"), Options())
    assert (graph.dt, graph.integrator) == (1e-3, "exponential")
    assert (graph.settings["dt"], graph.settings["integrator"]) == ("file", "file")


def test_what_the_user_says_wins_over_the_file() -> None:
    asked = Options(dt=2e-3, integrator="euler", reset="subtract", compare="ge", events="binary")
    graph = apply_options(chain(lif(), dt=1e-3, integrator="exponential"), asked)
    assert (graph.dt, graph.integrator) == (2e-3, "euler")
    neuron = graph.nodes["n"]
    assert isinstance(neuron, LIF)
    assert (neuron.reset, neuron.compare) == ("subtract", "ge")
    assert graph.inputs()["x"].events == "binary"
    assert set(graph.settings.values()) == {"option"}


def test_a_reset_that_is_chosen_acts_now_unless_its_time_is_chosen_too() -> None:
    graph = chain(lif(reset="zero", reset_time="next_all"))
    one = apply_options(graph, Options(reset="subtract"))
    two = apply_options(graph, Options(reset="subtract", reset_time="next"))
    three = apply_options(graph, Options(reset_time="next"))
    said = [(g.nodes["n"].reset, g.nodes["n"].reset_time) for g in (one, two, three)]
    assert said == [("subtract", "now"), ("subtract", "next"), ("zero", "next")]
    assert two.settings["reset_time"] == "option"
    assert one.settings["reset_time"] == "option"


def test_reset_to_zero_of_a_neuron_that_resets_elsewhere_is_kept_apart() -> None:
    graph = apply_options(chain(lif(v_reset=np.full(2, 0.5))), Options(reset="zero"))
    neuron = graph.nodes["n"]
    assert isinstance(neuron, LIF)
    assert neuron.reset == "zero"
