"""The smartwatch example: trained a little on real windows, it goes all the way to firmware."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.api import verify_reference
from tests.conftest import needed

pytestmark = [
    pytest.mark.data,
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore"),
]
LEVELS = 15
CHANCE = 1 / 7


@pytest.fixture
def example(examples_dir: Path) -> Any:
    needed("snntorch")
    spec = importlib.util.spec_from_file_location("wisdm", examples_dir / "wisdm.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_little_training_is_kept_all_the_way(data_dir: Path, example: Any) -> None:
    import torch

    torch.manual_seed(0)
    x, y, test_x, test_y = example.split(str(data_dir / "wisdm" / "wisdm_watch_hand7_16subj.npz"))
    order = np.random.default_rng(0).permutation(len(x))[:512]
    x, y, test_x, test_y = x[order], y[order], test_x[::50], test_y[::50]
    x, test_x = example.rounded(x, LEVELS), example.rounded(test_x, LEVELS)
    net = example.Watch(7)
    example.train(net, x, y, epochs=5)
    real = example.accuracy(net, test_x, test_y)
    assert real > 2.5 * CHANCE

    sample = torch.tensor(example.with_range(test_x[:8]))
    graph = snnstack.load(net, sample, levels=LEVELS)
    assert graph.metadata["agreement"]["mismatches"] == 0
    built = snnstack.build(graph, "nucleo-l4r5zi", {"x": x[:128], "y": y[:128]})
    counts = snnstack.encode(built.program, test_x)
    found = example.classes(built.program, counts)
    assert abs(float((found == test_y).mean()) - real) < 0.05
    assert built.network is not None
    equal = verify_reference(built.program, built.network, {"x": counts[:3]})
    assert equal.mismatches == 0
