"""Train the demo network: scikit-learn's 8x8 digits as spikes, 64-100-10, with snnTorch.

    python examples/digits.py            # needs: pip install 'snnstack[train]'

writes next to this file
    digits.nir        the trained network, NIR with the metadata that snnstack reads
    digits_test.npz   x uint8 [360 samples, 25 steps, 64 pixels] of 0/1, y uint8 [360]
    digits_train.npz  the same for 200 training images, to calibrate the quantisation on
    digits_ann.npz    weights of a network without spikes of the same widths, to compare with

A pixel of brightness p (0..16) fires in a step with probability p / 16 * RATE. A neuron follows
    v = BETA v + x;   spike iff v > 1;   v = v - 1 after a spike
and the class is the output neuron with the most spikes.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from snntorch import surrogate
from torch import Tensor, nn

from snnstack.loading import discretised, load
from snnstack.measure.opponent import trained_weights

HERE = Path(__file__).parent
SEED = 7
STEPS = 25
RATE = 0.3
BETA = 15 / 16  # exact in binary, so tau = dt / (1 - BETA) gives back this very decay
THRESHOLD = 1.0
DT = 1e-3
HIDDEN = 100
EPOCHS = 120
TEST = 360
CALIBRATION = 200
DRAWS = 16
"""Times that the network without spikes sees every training image, each time as fresh spikes."""
QUIET = 0.02
"""Weight of the hidden spikes per neuron in the loss: fewer spikes cost less energy."""

Spikes = NDArray[np.uint8]


class Digits(nn.Module):
    """64 pixels - 100 LIF - 10 LIF, without biases; the reset acts in the step of the spike."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, HIDDEN, bias=False)
        self.lif1 = _leaky()
        self.fc2 = nn.Linear(HIDDEN, 10, bias=False)
        self.lif2 = _leaky()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes of both layers [step, sample, neuron] for `x` [sample, step, 64]."""
        v1, v2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        hidden, out = [], []
        for t in range(x.shape[1]):
            s1, v1 = _step(self.lif1, self.fc1(x[:, t]), v1)
            s2, v2 = _step(self.lif2, self.fc2(s1), v2)
            hidden.append(s1)
            out.append(s2)
        return torch.stack(hidden), torch.stack(out)


def _leaky() -> snn.Leaky:
    return snn.Leaky(
        beta=BETA,
        threshold=THRESHOLD,
        reset_mechanism="none",
        spike_grad=surrogate.fast_sigmoid(slope=10),
    )


def _step(lif: snn.Leaky, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and the membrane after the reset.

    Leaky's own undelayed subtraction is not this one: while v stays above the threshold after
    a spike, it subtracts once more before the next comparison.
    """
    s, v = lif(x, v)
    return s, v - s.detach() * THRESHOLD


def encode(images: NDArray[np.float64], rng: np.random.Generator) -> Spikes:
    """Images [sample, 64] of 0..16 as random spikes [sample, step, 64]."""
    chance = images[:, None, :] / 16.0 * RATE
    return (rng.random((len(images), STEPS, 64)) < chance).astype(np.uint8)


def train(model: Digits, images: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    """Fit `model`; every epoch sees the images as fresh spikes."""
    rng = np.random.default_rng(SEED)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    classes = torch.from_numpy(labels)
    for epoch in range(EPOCHS):
        x = torch.from_numpy(encode(images, rng)).float()
        for rows in torch.from_numpy(rng.permutation(len(images))).split(64):
            hidden, out = model(x[rows])
            loss = nn.functional.cross_entropy(out.mean(0) * 10, classes[rows])
            loss = loss + QUIET * hidden.sum(0).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        if epoch % 20 == 19:
            print(f"epoch {epoch + 1}: loss {loss.item():.3f}")


def accuracy(model: Digits, x: Spikes, y: NDArray[np.int64]) -> float:
    """Share of samples whose class neuron has the most spikes."""
    with torch.no_grad():
        counts = model(torch.from_numpy(x).float())[1].sum(0).numpy()
    return float(np.mean(counts.argmax(axis=1) == y))


def neuron(n: int) -> nir.LIF:
    """NIR's leaky integrate-and-fire; Euler gives decay BETA and input gain 1 exactly."""
    tau = DT / (1.0 - BETA)
    return nir.LIF(
        tau=np.full(n, tau),
        r=np.full(n, tau / DT),
        v_leak=np.zeros(n),
        v_threshold=np.full(n, THRESHOLD),
        v_reset=np.zeros(n),
        metadata={"snnstack": {"reset": "subtract", "compare": "gt", "refractory": 0.0}},
    )


def to_nir(model: Digits) -> nir.NIRGraph:
    """The trained network with all that NIR itself has no field for."""
    pixels = nir.Input({"input": np.array([64])}, metadata={"snnstack": {"events": "binary"}})
    nodes = {
        "pixels": pixels,
        "fc1": nir.Linear(model.fc1.weight.detach().numpy()),
        "lif1": neuron(HIDDEN),
        "fc2": nir.Linear(model.fc2.weight.detach().numpy()),
        "lif2": neuron(10),
        "digit": nir.Output({"output": np.array([10])}),
    }
    names = list(nodes)
    about = {"version": 1, "dt": DT, "integrator": "euler"}
    edges = list(pairwise(names))
    return nir.NIRGraph(nodes, edges, metadata={"snnstack": about})


def opponent(images: NDArray[np.float64], labels: NDArray[np.int64]) -> bytes:
    """A trained network without spikes that reads the spikes of each pixel, counted."""
    rng = np.random.default_rng(SEED + 2)
    x = np.concatenate([encode(images, rng) for _ in range(DRAWS)])
    samples = {"x": x, "y": np.tile(labels, DRAWS)}
    about = f"trained on the {len(images)} training images, each as {DRAWS} draws of spikes"
    network = discretised(load(HERE / "digits.nir"))
    return trained_weights(network, samples, about)


def main() -> None:
    """Train, report the accuracies, write the four files."""
    torch.manual_seed(SEED)
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=TEST, random_state=SEED, stratify=labels)
    train_images, test_images, train_labels, test_labels = parts
    model = Digits()
    train(model, train_images, train_labels)
    rng = np.random.default_rng(SEED + 1)
    x = encode(test_images, rng)
    calibration = encode(train_images[:CALIBRATION], rng)
    print(f"test accuracy {accuracy(model, x, test_labels):.2%}")
    nir.write(HERE / "digits.nir", to_nir(model))
    some = train_labels[:CALIBRATION].astype(np.uint8)
    np.savez_compressed(HERE / "digits_test.npz", x=x, y=test_labels.astype(np.uint8))
    np.savez_compressed(HERE / "digits_train.npz", x=calibration, y=some)
    (HERE / "digits_ann.npz").write_bytes(opponent(train_images, train_labels))


if __name__ == "__main__":
    main()
