"""One step of hand-written neurons, however it spells a spike and a reset, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snnstack
from snnstack.loading import discretised

pytestmark = pytest.mark.filterwarnings("ignore")
LEVEL = 0.8


class Surrogate(torch.autograd.Function):
    """A step with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return (x > 0).float()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return grad[0]


def straight_through(v: Any) -> Any:
    soft = torch.sigmoid(4 * (v - LEVEL))
    return ((v > LEVEL).float() - soft).detach() + soft


def heaviside(v: Any, at: float) -> Any:
    return torch.heaviside(v - LEVEL, torch.tensor(at))


FIRES: dict[str, tuple[Any, str]] = {
    "comparison": (lambda v: (v > LEVEL).float(), "gt"),
    "at least": (lambda v: (v >= LEVEL).to(v.dtype), "ge"),
    "gt": (lambda v: torch.gt(v, LEVEL).float(), "gt"),
    "not below": (lambda v: (~(v < LEVEL)).float(), "ge"),
    "1 - below": (lambda v: 1.0 - (v < LEVEL).float(), "ge"),
    "not at most": (lambda v: 1 - (v <= LEVEL).int().float(), "gt"),
    "threshold first": (lambda v: (v > LEVEL).float(), "gt"),
    "difference": (lambda v: (v - LEVEL > 0).float(), "gt"),
    "quotient": (lambda v: (v / LEVEL - 1.0 > 0).float(), "gt"),
    "where": (lambda v: torch.where(v > LEVEL, 1.0, 0.0), "gt"),
    "where, the other way": (lambda v: torch.where(v < LEVEL, 0.0, 1.0), "ge"),
    "where, tensors": (
        lambda v: torch.where(v > LEVEL, torch.ones_like(v), torch.zeros_like(v)), "gt"),
    "masked_fill": (lambda v: torch.zeros_like(v).masked_fill(v > LEVEL, 1.0), "gt"),
    "relu of sign": (lambda v: torch.relu(torch.sign(v - LEVEL)), "gt"),
    "sign, clamped": (lambda v: torch.sign(v - LEVEL).clamp(min=0), "gt"),
    "clamped, sign": (lambda v: torch.sign(torch.clamp(v - LEVEL, min=0.0)), "gt"),
    "sign of relu": (lambda v: torch.relu(v - LEVEL).sign(), "gt"),
    "ceil of clamp": (lambda v: torch.ceil(torch.clamp(v - LEVEL, 0.0, 1.0)), "gt"),
    "custom function": (lambda v: Surrogate.apply(v - LEVEL), "gt"),
    "straight through": (straight_through, "gt"),
    "logical": (lambda v: torch.logical_not(v <= LEVEL).float(), "gt"),
}  # fmt: skip
ONLY_DYNAMO: dict[str, tuple[Any, str]] = {
    "heaviside, 0": (lambda v: heaviside(v, 0.0), "gt"),
    "heaviside, 1": (lambda v: heaviside(v, 1.0), "ge"),
}
RESETS: dict[str, tuple[Any, str]] = {
    "times 1 - s": (lambda v, s: v * (1 - s), "set"),
    "less v times s": (lambda v, s: v - v * s, "set"),
    "subtract": (lambda v, s: v - s * LEVEL, "subtract"),
    "subtract, where": (lambda v, s: torch.where(s > 0, v - LEVEL, v), "subtract"),
    "where": (lambda v, s: torch.where(s > 0.5, torch.zeros_like(v), v), "set"),
    "where, to a level": (lambda v, s: torch.where(s.bool(), torch.full_like(v, -0.2), v), "set"),
    "where equal": (lambda v, s: torch.where(s == 1, -0.1, v), "set"),
    "masked_fill": (lambda v, s: v.masked_fill(s.bool(), 0.0), "set"),
    "mixed": (lambda v, s: s * -0.3 + (1.0 - s) * v, "set"),
    "not times": (lambda v, s: torch.logical_not(s).float() * v, "set"),
}  # fmt: skip


class Step(nn.Module):
    """Two layers; the last one is written plainly."""

    def __init__(self, fires: Any, reset: Any) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.one, self.two = nn.Linear(8, 12), nn.Linear(12, 4)
        self.fires, self.reset = fires, reset
        with torch.no_grad():
            self.one.weight *= 3
            self.two.weight *= 4

    def forward(self, x: Any, a: Any, b: Any) -> tuple[Any, ...]:
        a = 0.9 * a + self.one(x)
        s = self.fires(a)
        b = 0.8 * b + self.two(s)
        out = (b > 1.0).float()
        return out, self.reset(a, s), b - out


def read(path: Path, net: nn.Module, dynamo: bool) -> Any:
    given = tuple(torch.zeros(1, n) for n in (8, 12, 4))
    said: dict[str, Any] = {"input_names": ["x", "a", "b"], "output_names": ["s", "a2", "b2"]}
    torch.onnx.export(net.eval(), given, path, dynamo=dynamo, verbose=False, **said)
    rows = (np.random.default_rng(0).random((40, 4, 8)) < 0.5).astype(np.float32)
    graph = snnstack.load(path, rows)
    noted = graph.metadata["agreement"]
    assert (noted["framework"], noted["mismatches"]) == ("onnxruntime", 0)
    assert noted["slots"] == 40 * 4 * 16
    return discretised(graph).populations[0]


CASES = [(case, d) for case in FIRES for d in (False, True)] + [(c, True) for c in ONLY_DYNAMO]


@pytest.mark.parametrize(("case", "dynamo"), CASES)
def test_a_spike_is_read_however_it_is_written(tmp_path: Path, case: str, dynamo: bool) -> None:
    fires, compare = {**FIRES, **ONLY_DYNAMO}[case]
    found = read(tmp_path / "step.onnx", Step(fires, RESETS["subtract"][0]), dynamo)
    assert (found.compare, found.reset) == (compare, "subtract")


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("case", RESETS)
def test_a_reset_is_read_however_it_is_written(tmp_path: Path, case: str, dynamo: bool) -> None:
    reset, kind = RESETS[case]
    found = read(tmp_path / "step.onnx", Step(FIRES["relu of sign"][0], reset), dynamo)
    assert (found.compare, found.reset) == ("gt", kind)
