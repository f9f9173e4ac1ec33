"""The trained L2MU of Fra et al.: from its checkpoint to firmware, without losing a spike."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.frontends.nir import read, write
from snnstack.samples import as_data, run_float
from tests.conftest import needed

pytestmark = [pytest.mark.data, pytest.mark.slow]
OUT = "l2mu_cell.spk_output"


def example(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("l2mu", folder / "l2mu.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def right(trace: Any, y: Any) -> float:
    return float((trace.spikes[OUT].per_neuron().argmax(axis=1) == y).mean())


@pytest.mark.needs_qemu
def test_the_checkpoint_is_expressed_compiled_and_verified(
    data_dir: Path, examples_dir: Path, tmp_path: Path
) -> None:
    torch = needed("torch")
    needed("snntorch")
    torch.set_num_threads(1)
    with np.load(data_dir / "braille" / "braille_validation.npz") as file:
        x, y = file["x"], file["y"]
    net = example(examples_dir).from_checkpoint(str(data_dir / "l2mu" / "braille_best.ckpt"))
    graph = snnstack.load(net, torch.tensor(x[:3]).float(), name="l2mu")
    told = graph.metadata["agreement"]
    assert (told["slots"], told["mismatches"]) == (3 * 256 * 687, 0)
    delays = {(e.source, e.target): e.delay for e in graph.edges}
    memory = {edge[1]: delay for edge, delay in delays.items() if edge[0] == "l2mu_cell.spk_m"}
    assert memory == {"l2mu_cell.A": 1, "l2mu_cell.e_m": 1, "l2mu_cell.W_m": 0}
    write(graph, tmp_path / "l2mu.nir")
    built = snnstack.build(read(tmp_path / "l2mu.nir"), "nucleo-h7a3zi-q", {"x": x[:128]})
    real = right(run_float(built.steps, as_data({"x": x, "y": y}, built.steps.inputs[0])), y)
    integer = right(snnstack.emulate(built.program, {"x": x, "y": y}), y)
    assert real > 0.984
    assert integer > real - 0.005
    assert snnstack.verify(built.program, {"x": x}, samples=2).mismatches == 0
