"""Take a trained L2MU for Braille to a microcontroller: recurrence with mixed delays, exactly.

    python examples/l2mu.py CHECKPOINT DATA.npz [--board nucleo-h7a3zi-q] [-o DIR]

The network of Fra et al. (2024) in snnTorch: a Legendre memory of spiking neurons. The memory's
spikes act on the hidden layer in the same step, and on the encoder in the next one; snnstack
finds this by running the module. CHECKPOINT is the authors' `best.ckpt`, read as plain tensors;
DATA has `x` [sample, step, 12] of 0/1 and `y`.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from snntorch import Leaky
from torch import nn

import snnstack


class Cell(nn.Module):
    """One step: encoder u, memory m (order by order), hidden h, output."""

    def __init__(self, inputs: int, hidden: int, memory: int, order: int, outputs: int) -> None:
        super().__init__()
        self.memory, self.order = memory, order
        whole = memory * order
        self.e_x, self.e_h = linear(inputs, memory), linear(hidden, memory)
        self.e_m = linear(whole, memory)
        self.A, self.B = linear(order, order), linear(1, order)
        self.W_x, self.W_h = linear(inputs, hidden), linear(hidden, hidden)
        self.W_m = linear(whole, hidden)
        self.output_transformation = nn.Linear(hidden, outputs)
        for name in ("spk_u", "spk_m", "spk_h", "spk_output"):
            neuron = Leaky(beta=0.5, threshold=1.0, learn_beta=True, learn_threshold=True)
            setattr(self, name, neuron)

    def forward(self, x: Any, spikes: Any, membranes: Any) -> tuple[Any, Any, Any]:
        """Output spikes, and what the next step starts from."""
        (m, h), (v_u, v_m, v_h, v_o) = spikes, membranes
        u, v_u = self.spk_u(self.e_x(x) + self.e_h(h) + self.e_m(m.flatten(1)), v_u)
        m, v_m = self.spk_m(self.A(m) + self.B(u.unsqueeze(-1)), v_m)
        h, v_h = self.spk_h(self.W_x(x) + self.W_h(h) + self.W_m(m.flatten(1)), v_h)
        out, v_o = self.spk_output(self.output_transformation(h), v_o)
        return out, (m, h), (v_u, v_m, v_h, v_o)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Weights without a bias."""
    return nn.Linear(inputs, outputs, bias=False)


class L2MU(nn.Module):
    """The cell over all steps."""

    def __init__(self, sizes: dict[str, float], inputs: int = 12, outputs: int = 7) -> None:
        super().__init__()
        hidden, memory, order = (
            int(sizes[name]) for name in ("hidden_size", "memory_size", "order")
        )
        self.hidden = hidden
        self.l2mu_cell = Cell(inputs, hidden, memory, order, outputs)

    def forward(self, x: Any) -> Any:
        """Output spikes [step, sample, class] for `x` [sample, step, taxel]."""
        cell, batch = self.l2mu_cell, len(x)
        spikes = x.new_zeros(batch, cell.memory, cell.order), x.new_zeros(batch, self.hidden)
        names = ("spk_u", "spk_m", "spk_h", "spk_output")
        membranes = tuple(getattr(cell, name).reset_mem() for name in names)
        out = []
        for now in x.unbind(1):
            fired, spikes, membranes = cell(now, spikes, membranes)
            out.append(fired)
        return torch.stack(out)


def from_checkpoint(path: str) -> L2MU:
    """The trained network; the file is read as tensors and plain values only."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    net = L2MU(stored["hyper_parameters"]["params"])
    weights = {k.removeprefix("model."): v for k, v in stored["state_dict"].items()}
    net.load_state_dict(weights, strict=False)
    missing = {name for name, _ in net.named_parameters()} - set(weights)
    if missing:
        raise SystemExit(f"{path}: it has no {', '.join(sorted(missing))}")
    return net.eval()


def main() -> None:
    """Load with proof, compile, emulate, verify."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("data")
    parser.add_argument("--board", default="nucleo-h7a3zi-q")
    parser.add_argument("-o", "--output")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with np.load(args.data, allow_pickle=False) as file:
        x, y = file["x"], file["y"]
    net = from_checkpoint(args.checkpoint)
    graph = snnstack.load(net, torch.tensor(x[:4]).float(), name="l2mu")
    told = graph.metadata["agreement"]
    print(f"door: {told['mismatches']} of {told['slots']} spikes differ from {told['framework']}")
    built = snnstack.build(graph, args.board, {"x": x[:128], "y": y[:128]})
    trace = snnstack.emulate(built.program, {"x": x, "y": y})
    found = trace.spikes["l2mu_cell.spk_output"].per_neuron().argmax(axis=1)
    print(f"{args.board}: {100 * (found == y).mean():.2f} % of {len(y)} samples")
    print(snnstack.verify(built.program, {"x": x, "y": y}, samples=4))
    if args.output:
        snnstack.save(built, args.output)


if __name__ == "__main__":
    main()
