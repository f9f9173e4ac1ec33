"""Train a smartwatch network on WISDM with snnTorch, take it to a microcontroller, and verify it.

    python examples/wisdm.py DATA.npz [--epochs 30] [--levels 63] [--board nucleo-l4r5zi] [-o DIR]

DATA has `x` [window, 40 steps, 6 channels] (accelerometer and gyroscope, 20 Hz), `y` and
`subject`. One window in five is for the test. The sensor's values enter as counts 0..levels, as
from a converter: training sees the rounded values too.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from snntorch import Leaky, RLeaky, surrogate
from torch import nn

import snnstack

HIDDEN, STEPS = 128, 40


class Watch(nn.Module):
    """Recurrent spiking neurons on the values of six channels; the class is a membrane."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.into = nn.Linear(6, HIDDEN)
        self.hidden = RLeaky(
            beta=torch.full((HIDDEN,), 0.9),
            linear_features=HIDDEN,
            learn_beta=True,
            init_hidden=True,
            spike_grad=surrogate.fast_sigmoid(slope=5),
        )
        self.read = nn.Linear(HIDDEN, classes)
        self.result = Leaky(beta=0.9, reset_mechanism="none")

    def forward(self, x: Any) -> Any:
        """Membranes [step, window, class] of windows [window, step, channel]."""
        self.hidden.reset_mem()
        membrane, out = self.result.reset_mem(), []
        for now in x.unbind(1):
            _, membrane = self.result(self.read(self.hidden(self.into(now))), membrane)
            out.append(membrane)
        return torch.stack(out)


def split(path: str) -> tuple[Any, Any, Any, Any]:
    """Windows with every channel brought to mean 0 and deviation 1, and their classes."""
    with np.load(path, allow_pickle=False) as file:
        x, y = file["x"].astype(np.float32), file["y"].astype(np.int64)
    test = np.arange(len(x)) % 5 == 0
    mean, deviation = x[~test].mean((0, 1)), x[~test].std((0, 1))
    x = np.clip((x - mean) / deviation, -4, 4)
    return x[~test], y[~test], x[test], y[test]


def train(net: nn.Module, x: Any, y: Any, epochs: int) -> None:
    """Cross-entropy of the membranes summed over time, with snnTorch's surrogate gradient."""
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    given, labels = torch.tensor(x), torch.tensor(y)
    for epoch in range(epochs):
        total = 0.0
        for part in torch.randperm(len(given)).split(256):
            loss = nn.functional.cross_entropy(net(given[part]).mean(0), labels[part])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            total += float(loss) * len(part) / len(given)
        schedule.step()
        print(f"epoch {epoch + 1}: loss {total:.3f}")


def accuracy(net: nn.Module, x: Any, y: Any) -> float:
    """Of the framework, windows in parts so that memory stays small."""
    with torch.no_grad():
        found = [net(part).sum(0).argmax(1) for part in torch.tensor(x).split(512)]
    return float((torch.cat(found).numpy() == y).mean())


def rounded(x: Any, levels: int) -> Any:
    """What a converter with so many levels over -4..4 makes of the values."""
    step = 8.0 / levels
    return (np.rint((x + 4.0) / step) * step - 4.0).astype(np.float32)


def with_range(x: Any) -> Any:
    """The windows, and two that hold the smallest and the largest value."""
    ends = np.full((2, STEPS, 6), [[[-4.0]], [[4.0]]], dtype=np.float32)
    return np.concatenate([x, ends])


def classes(program: Any, counts: Any) -> Any:
    """What the emulated program says of every window of counts."""
    trace = snnstack.emulate(program, {"x": counts}, probes=[("result", "v")])
    return trace.states["result", "v"].sum(axis=1).argmax(axis=1)


def main() -> None:
    """Train, load with proof, compile, verify, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--levels", type=int, default=63)
    parser.add_argument("--board", default="nucleo-l4r5zi")
    parser.add_argument("-o", "--output")
    args = parser.parse_args()
    torch.manual_seed(0)
    x, y, test_x, test_y = split(args.data)
    x, test_x = rounded(x, args.levels), rounded(test_x, args.levels)
    net = Watch(int(y.max()) + 1)
    train(net, x, y, args.epochs)
    print(f"snnTorch: {100 * accuracy(net, test_x, test_y):.2f} % of {len(test_y)} windows")
    sample = torch.tensor(with_range(test_x[:30]))
    graph = snnstack.load(net, sample, levels=args.levels, name="watch")
    told = graph.metadata["agreement"]
    print(f"door: {told['mismatches']} of {told['slots']} spikes differ from {told['framework']}")
    built = snnstack.build(graph, args.board, {"x": x[:256], "y": y[:256]})
    program = built.program
    test = {"x": snnstack.encode(program, test_x), "y": test_y}
    found = classes(program, test["x"])
    print(f"{args.board}: {100 * (found == test_y).mean():.2f} %, {dict(program.memory)}")
    print(snnstack.verify(program, test, samples=4))
    if args.output:
        snnstack.save(built, args.output)


if __name__ == "__main__":
    main()
