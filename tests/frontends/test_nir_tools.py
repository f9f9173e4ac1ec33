"""NIR files of other tools: what they leave open is asked for by option and recorded."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest

import snnstack
from snnstack.errors import ModelError
from snnstack.frontends.nir import from_nir
from snnstack.loading import discretised, load
from snnstack.passes.options import WRITTEN_BY, Options
from snnstack.reference import run_steps
from snnstack.trace import Spikes
from tests.conftest import needed


def model(**neuron: Any) -> Any:
    """What an exporter writes: Affine and one LIF layer."""
    random = np.random.default_rng(0)
    weight = random.normal(0.4, 0.6, (6, 5)).astype(np.float32)
    values = {"tau": 0.001, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, **neuron}
    lif = nir.LIF(**{k: np.full(6, v, np.float32) for k, v in values.items()})
    nodes = {
        "input": nir.Input(np.array([5])), "fc": nir.Affine(weight, np.zeros(6, np.float32)),
        "lif": lif, "output": nir.Output(np.array([6])),
    }  # fmt: skip
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    return nir.NIRGraph(nodes, edges)


@pytest.mark.parametrize("writer", WRITTEN_BY)
def test_what_a_writer_means_is_filled_in_and_recorded(writer: str) -> None:
    graph = load(from_nir(model()), Options(written_by=writer))
    meant, node = WRITTEN_BY[writer], graph.nodes["lif"]
    assert (graph.dt, graph.integrator) == (meant["dt"], meant["integrator"])
    for key in ("reset", "reset_time", "compare"):
        assert getattr(node, key) == meant[key]
        assert graph.settings[key] == f"written by {writer}"
    assert graph.settings["events"] == "default"


def test_options_and_the_file_come_before_the_writer() -> None:
    graph = load(from_nir(model()), Options(written_by="snntorch", reset="zero", dt=1e-5))
    node: Any = graph.nodes["lif"]
    assert (graph.dt, node.reset, node.reset_time) == (1e-5, "zero", "now")
    assert (graph.settings["dt"], graph.settings["reset"]) == ("option", "option")
    said = model()
    said.nodes["lif"].metadata["snnstack"] = {"reset": "v_reset", "reset_time": "now"}
    graph = load(from_nir(said), Options(written_by="snntorch"))
    assert (graph.settings["reset"], graph.settings["compare"]) == ("file", "written by snntorch")


def test_an_unknown_writer_is_refused() -> None:
    with pytest.raises(ModelError) as told:
        load(from_nir(model()), Options(written_by="brian"))
    assert str(told.value) == (
        "graph: is not known to have been written by 'brian' "
        "(one of: snntorch, spikingjelly, norse, sinabs, rockpool, spyx)"
    )


def test_a_file_of_snntorch_s_defaults_computes_what_snntorch_does() -> None:
    """Its export drops the reset and its delay: `written_by` brings them back."""
    torch = needed("torch")
    snn = needed("snntorch")
    graph = load(from_nir(model()), Options(written_by="snntorch"))
    x = (np.random.default_rng(1).random((4, 30, 5)) < 0.4).astype(np.uint8)
    found = run_steps(discretised(graph), Spikes.from_dense(x)).spikes["lif"].dense()
    lif, weight = snn.Leaky(beta=0.9, init_hidden=True), torch.tensor(model().nodes["fc"].weight)
    with torch.no_grad():
        theirs = [lif(torch.tensor(x[:, t]).float() @ weight.T).numpy() for t in range(30)]
    np.testing.assert_array_equal(found, np.stack(theirs, axis=1))
    plain = run_steps(discretised(load(from_nir(model()))), Spikes.from_dense(x))
    assert np.count_nonzero(plain.spikes["lif"].dense() != found) > 20


def scalars() -> Any:
    made = model()
    for key in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
        setattr(made.nodes["lif"], key, np.array(getattr(made.nodes["lif"], key)[0]))
    return made


def test_single_numbers_are_spread_over_the_population() -> None:
    """As Norse writes them."""
    graph = from_nir(scalars())
    assert graph.nodes["lif"].tau.shape == (6,)
    whole = discretised(load(from_nir(model())))
    spread = discretised(load(graph))
    np.testing.assert_array_equal(whole.populations[0].alpha, spread.populations[0].alpha)


def test_an_input_without_shape_is_named() -> None:
    """A file met in the wild: NIR's own type inference fails on it without saying where."""
    inner = model()
    inner.nodes["input"].input_type = {"input": np.array([], dtype=np.int64)}
    outer = nir.NIRGraph(
        {"input": nir.Input(np.array([5])), "lif2": inner, "output": nir.Output(np.array([6]))},
        [("input", "lif2"), ("lif2", "output")],
        type_check=False,
    )
    with pytest.raises(snnstack.SnnstackError) as told:
        from_nir(outer)
    assert (
        "lif2: input: its shape is [], which has no axes "
        "(write the shape of one step of one sample, such as [12])"
    ) in str(told.value).splitlines()
