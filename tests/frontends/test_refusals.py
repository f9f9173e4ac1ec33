"""What a front door cannot represent is refused by name, with what would do: nothing is dropped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import snnstack
from snnstack.errors import ModelError
from tests.conftest import needed
from tests.frontends.nets import lively, spikes

snn = needed("snntorch")
needed("spikingjelly")
from spikingjelly.activation_based import layer, neuron, surrogate  # noqa: E402

HIDDEN = {"init_hidden": True}
X = spikes(8, 5, 12)
MAPS = spikes(8, 5, 2, 8, 8)


def lif(**said: Any) -> Any:
    return snn.Leaky(beta=0.5, **HIDDEN, **said)


def dense(*middle: Any) -> Any:
    return nn.Sequential(nn.Linear(12, 10), *middle, nn.Linear(10, 4), lif())


def after_conv(*middle: Any) -> Any:
    return nn.Sequential(nn.Conv2d(2, 3, 3), *middle, lif())


class Loop(nn.Module):
    """A hidden and an output layer; `between` says what is done in a step."""

    def __init__(self, between: Any) -> None:
        super().__init__()
        self.fc, self.out = nn.Linear(12, 10), nn.Linear(10, 4)
        self.lif1, self.lif2 = snn.Leaky(beta=0.5), snn.Leaky(beta=0.5)
        self.between = between

    def forward(self, x: Any) -> Any:
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for t, now in enumerate(x):
            _, mem1, mem2, spk2 = self.between(self, t, now, mem1, mem2)
            out.append(spk2)
        return torch.stack(out)


def usual(net: Any, now: Any, mem1: Any, mem2: Any, change: Any = lambda s: s) -> Any:
    spk1, mem1 = net.lif1(net.fc(now), mem1)
    spk2, mem2 = net.lif2(net.out(change(spk1)), mem2)
    return spk1, mem1, mem2, spk2


def swapped(net: Any, t: int, now: Any, mem1: Any, mem2: Any) -> Any:
    spk1, mem1 = net.lif1(net.fc(now), mem1)
    spk2, mem2 = net.lif2(net.out(spk1), mem2 * 0.9)
    return spk1, mem1, mem2, spk2


def shared(net: Any, t: int, now: Any, mem1: Any, mem2: Any) -> Any:
    spk1, mem1 = net.lif1(net.fc(now), mem1)
    spk1, mem1 = net.lif1(spk1, mem1)
    spk2, mem2 = net.lif2(net.out(spk1), mem2)
    return spk1, mem1, mem2, spk2


def sends_membrane(net: Any, t: int, now: Any, mem1: Any, mem2: Any) -> Any:
    spk1, mem1 = net.lif1(net.fc(now), mem1)
    spk2, mem2 = net.lif2(net.out(mem1), mem2)
    return spk1, mem1, mem2, spk2


def changing(net: Any, t: int, now: Any, mem1: Any, mem2: Any) -> Any:
    return usual(net, now, mem1, mem2, (lambda s: s * 2.0) if t == 5 else (lambda s: s))


def loop(change: Any) -> Any:
    return Loop(lambda net, t, now, m1, m2: usual(net, now, m1, m2, change))


def steps(between: Any) -> Any:
    return Loop(between)


class Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(12, 4), snn.Leaky(beta=0.5)

    def forward(self, x: Any) -> Any:
        mem, out = self.lif.reset_mem(), []
        for now in x:
            _, mem = self.lif(self.fc(now), mem)
            out.append(mem)
        return torch.stack(out)


class Reversed(Reads):
    def forward(self, x: Any) -> Any:
        mem, out = self.lif.reset_mem(), []
        for now in x.flip(0):
            spk, mem = self.lif(self.fc(now), mem)
            out.append(spk)
        return torch.stack(out)


class Warm(Reads):
    def forward(self, x: Any) -> Any:
        mem, out = torch.ones(x.shape[1], 4), []
        for now in x:
            spk, mem = self.lif(self.fc(now), mem)
            out.append(spk)
        return torch.stack(out)


class Encodes(Reads):
    def forward(self, x: Any) -> Any:
        mem, out = self.lif.reset_mem(), []
        for now in torch.bernoulli(x.clamp(0, 1).unsqueeze(0).repeat(8, 1, 1)):
            spk, mem = self.lif(self.fc(now), mem)
            out.append(spk)
        return torch.stack(out)


def changed() -> Any:
    neuron = lif()
    neuron.reset_mechanism = "zero"
    return neuron


NOTHING = "is nothing that a network of spikes can do"
ALL = "Leaky, Lapicque, Synaptic, RLeaky, RSynaptic, Alpha"
JELLY = "IFNode, LIFNode, ParametricLIFNode, CUBALIFNode"
BETWEEN = "(use sums, scales, reshapes, Linear, Conv, pooling and spiking neurons between spikes)"
OWN = "(pass on what it returned, and begin with zeros; one module for each layer)"
PLANTED: dict[str, tuple[Any, Any, str]] = {
    "narrower SLSTM": (lambda: nn.Sequential(snn.SLSTM(12, 6, **HIDDEN), nn.Linear(6, 4)), X,
        f"0 (SLSTM): is no neuron that can be expressed (use one of: {ALL})"),
    "LeakyParallel": (lambda: nn.Sequential(snn.LeakyParallel(input_size=12, hidden_size=6)), X,
        f"0 (LeakyParallel): is no neuron that can be expressed (use one of: {ALL})"),
    "ILIF": (lambda: nn.Sequential(layer.Linear(12, 6), neuron.ILIFNode()), X,
        f"1 (ILIFNode): is no neuron that can be expressed (use one of: {JELLY})"),
    "inhibition": (lambda: dense(lif(inhibition=True)), X,
        "1 (Leaky): inhibits all neurons but the strongest (train it with inhibition=False)"),
    "state_quant": (lambda: dense(lif(state_quant=lambda x: x)), X,
        "1 (Leaky): quantises its state (train it with state_quant=False; the target quantises)"),
    "spike_grad": (lambda: dense(lif(spike_grad=torch.sigmoid)), X,
        "1 (Leaky): has a spike_grad that is no step from 0 to 1 "
        "(use one of snntorch.surrogate)"),
    "Alpha": (lambda: dense(snn.Alpha(alpha=0.9, beta=0.5, **HIDDEN)), X,
        "1 (Alpha): resets two currents at once (reset_mechanism='zero') "
        "(use Synaptic, or Alpha with reset_mechanism='none')"),
    "RSynaptic at once": (lambda: dense(snn.RSynaptic(
        alpha=0.9, beta=0.5, linear_features=10, reset_delay=False, **HIDDEN)), X,
        "1 (RSynaptic): has reset_delay=False (use reset_delay=True: snnTorch computes this with "
        "the spikes of the step before)"),
    "SLSTM": (lambda: dense(snn.SLSTM(10, 10, **HIDDEN)), X,
        f"1 (SLSTM): is no neuron that can be expressed (use one of: {ALL})"),
    "below 0": (lambda: dense(lif(threshold=torch.tensor([1.0] * 9 + [-1.0]),
        reset_mechanism="zero")), X,
        "1 (Leaky): has a threshold below 0 that it is reset to zero from (use thresholds above "
        "0)"),
    "wrong size": (lambda: nn.Sequential(nn.Linear(12, 10), lif(threshold=torch.ones(5, 10))), X,
        "1 (Leaky): has parameters that do not fit its shape [10]: "),
    "ReLU": (lambda: dense(nn.ReLU(), lif()), X,
        f"1 (ReLU): {NOTHING} (use a spiking neuron in its place, or convert the trained network "
        "from ONNX)"),
    "LayerNorm": (lambda: dense(nn.LayerNorm(10), lif()), X,
        f"1 (LayerNorm): {NOTHING} (use BatchNorm, which can be folded into the weights)"),
    "max of currents": (lambda: after_conv(nn.MaxPool2d(2)), MAPS,
        "1 (MaxPool2d): takes the maximum of currents, not of spikes (put it behind the spiking "
        "neuron, or use AvgPool2d)"),
    "max of currents, function": (lambda: after_conv(Function(functional.max_pool2d, 2)), MAPS,
        "max_pool(): takes the maximum of currents, not of spikes (put it behind the spiking "
        "neuron, or use AvgPool2d)"),
    "constant around": (lambda: after_conv(nn.ConstantPad2d(1, 0.5)), MAPS,
        "1 (ConstantPad2d): pads with 0.5 (pad with zeros, or give the sample padded)"),
    "no statistics": (lambda: after_conv(nn.BatchNorm2d(3, track_running_stats=False)), MAPS,
        "1 (BatchNorm2d): has no running statistics (train it with track_running_stats=True)"),
    "attention": (lambda: loop(lambda s: torch.softmax(s, -1)), X,
        f"softmax(): {NOTHING} {BETWEEN}"),
    "product": (lambda: loop(lambda s: (s + s) * s), X,
        "mul(): multiplies two signals (only spikes, which are 0 or 1, can be multiplied; add "
        "them, or use constant weights)"),
    "across samples": (lambda: loop(lambda s: s.flip(0)), X,
        "flip(): mixes steps or samples: [5, 10] becomes [5, 10] (move features only, inside a "
        "step)"),
    "membrane changed": (lambda: steps(swapped), X,
        f"lif2 (Leaky): is given a mem that is not its own of the step before {OWN}"),
    "module shared": (lambda: steps(shared), X,
        "lif1 (Leaky): is called 16 times, others 8 times (call every neuron once a step, each "
        "layer its own)"),
    "membrane sent": (lambda: steps(sends_membrane), X,
        "lif1 (Leaky): sends its state 'mem' (send its spikes; only the last layer's membrane "
        "can be read)"),
    "step that differs": (lambda: steps(changing), X,
        "lif2 (Leaky): is not given the same in every step (the same layers must run in every "
        "step)"),
    "warm start": (Warm, X, f"lif (Leaky): starts from a mem that is not zero {OWN}"),
    "backwards": (Reversed, X,
        "lif (Leaky): looks back 7 steps of 8 (read sample[t] in step t, or give more steps)"),
    "one step": (lambda: dense(lif()), X[:1],
        "input: the sample has a single step (give at least 2 steps: a connection over time needs "
        "them to be seen)"),
    "reset changed": (lambda: dense(changed()), X,
        "1 (Leaky): had its reset_mechanism changed to 'zero' after it was made, which half of it "
        "follows (give reset_mechanism to the constructor)"),
    "encoded inside": (Encodes, torch.rand(5, 12),
        f"clamp(): {NOTHING} (do this to the sample, before the module; or {BETWEEN[1:]}"),
    "membrane read": (Reads, X,
        "lif (Leaky): gives its membrane as the result, which its own spikes reset (train it with "
        "reset_mechanism='none', or read spikes: outputs=['lif'])"),
    "no neuron": (lambda: nn.Sequential(nn.Linear(12, 4)), X,
        "Sequential: has no spiking neuron that ran (the neurons of snnTorch and of SpikingJelly "
        "are known)"),
    "QIF": (lambda: dense(neuron.QIFNode()), X,
        f"1 (QIFNode): is no neuron that can be expressed (use one of: {JELLY})"),
    "not spiking": (lambda: dense(neuron.IFNode(
        surrogate_function=surrogate.Sigmoid(spiking=False))), X,
        "1 (IFNode): has a surrogate_function that is no step from 0 to 1 (use "
        "surrogate_function with spiking=True)"),
    "reset above": (lambda: dense(neuron.IFNode(v_threshold=1.0, v_reset=1.5)), X,
        "1 (IFNode): resets to 1.5, not below its threshold (choose v_reset below v_threshold)"),
    "SynapseFilter": (lambda: nn.Sequential(layer.SynapseFilter(10.0), *dense(neuron.IFNode())), X,
        f"0 (SynapseFilter): {NOTHING} (leave it out, or use Linear, Conv, pooling, BatchNorm, "
        "neurons)"),
    "subclass": (lambda: dense(Noisy()), X,
        f"1 (Noisy): is no neuron that can be expressed (use one of: {JELLY})"),
}  # fmt: skip


class Function(nn.Module):
    def __init__(self, function: Any, *args: Any) -> None:
        super().__init__()
        self.function, self.args = function, args

    def forward(self, x: Any) -> Any:
        return self.function(x, *self.args)


class Noisy(neuron.LIFNode):
    """Looks like a LIF neuron and is none."""

    def single_step_functional_forward(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        outputs, new = super().single_step_functional_forward(inputs, states, **kwargs)
        return (1.0 - outputs[0],), new


@pytest.mark.parametrize("case", PLANTED)
@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
def test_a_planted_fault_is_named(case: str) -> None:
    make, sample, message = PLANTED[case]
    with pytest.raises(ModelError) as told:
        snnstack.load(lively(make()), sample)
    first = str(told.value).splitlines()[0]
    assert first == message or (message.endswith(": ") and first.startswith(message))


def test_all_faults_are_told_at_once() -> None:
    net = dense(lif(inhibition=False, state_quant=lambda x: x), nn.Linear(10, 10), lif(
        spike_grad=torch.sigmoid))  # fmt: skip
    with pytest.raises(ModelError) as told:
        snnstack.load(lively(net), X)
    assert len(told.value.problems) == 2


def test_a_sample_is_needed_and_must_fit() -> None:
    net = lively(dense(lif()))
    with pytest.raises(ModelError, match="Sequential: is a module without a sample to run"):
        snnstack.load(net)
    with pytest.raises(ModelError, match="input: the sample is empty"):
        snnstack.load(net, torch.zeros(0, 5, 12))
    with pytest.raises(ModelError, match="could not be run on the sample: RuntimeError"):
        snnstack.load(net, spikes(8, 5, 13))
    with pytest.raises(ModelError, match="output: there is no neuron 'lif9'"):
        snnstack.load(net, X, outputs=["lif9"])
    assert list(snnstack.load(net, X, outputs=["1"]).predecessors("output")) == ["1"]


def test_a_module_is_loaded_before_it_is_compiled() -> None:
    with pytest.raises(ModelError) as told:
        snnstack.compile(dense(lif()), "nucleo-l4r5zi")
    assert str(told.value) == (
        "Sequential: is a torch module, not a model file "
        "(load it first: graph = snnstack.load(module, sample))"
    )


def test_real_input_needs_levels_to_be_compiled() -> None:
    graph = snnstack.load(lively(dense(lif())), torch.rand(8, 5, 12))
    with pytest.raises(ModelError) as told:
        snnstack.compile(graph, "nucleo-l4r5zi")
    assert str(told.value) == (
        "input: carries real numbers, targets take spikes or counts "
        "(load the module with levels=..., which turns them into counts)"
    )


MASK = torch.tensor([1.0, 0.0, 1.0, 0.0])
LATE = (torch.arange(8) < 5)[:, None, None]


def overwritten(z: Any, where: Any) -> Any:
    z = z.clone()
    z[where] = 0
    return z


class Masked(nn.Module):
    """A layer whose spikes are changed in every step, all together, or both."""

    def __init__(self, step: Any = None, whole: Any = None) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(12, 4), snn.Leaky(beta=0.5)
        self.step, self.whole = step or (lambda z: z), whole or (lambda z: z)

    def forward(self, x: Any) -> Any:
        mem, out = self.lif.reset_mem(), []
        for now in x:
            spk, mem = self.lif(self.fc(now), mem)
            out.append(self.step(spk))
        return self.whole(torch.stack(out))


CHANGES = {
    "mul()": (lambda z: z * MASK, lambda z: z * LATE),
    "masked_fill()": (lambda z: z.masked_fill(MASK == 0, 0), lambda z: z.masked_fill(~LATE, 0)),
    "where()": (lambda z: torch.where(MASK > 0, z, 0.0), lambda z: torch.where(LATE, z, 0.0)),
    "__setitem__()": (lambda z: overwritten(z, (0, 1)), lambda z: overwritten(z, slice(5, 8))),
    "einsum()": (lambda z: torch.einsum("bi,i->bi", z, MASK),),
    "indexing": (lambda z: z.flip(-1), None, lambda z: z[:, :3]),
    "flip()": (None, lambda z: z.flip(0)),
}


@pytest.mark.parametrize(
    ("function", "step", "whole"),
    [
        (name, *((change, None) if k % 2 == 0 else (None, change)))
        for name, changes in CHANGES.items()
        for k, change in enumerate(changes)
        if change is not None
    ],
)
def test_a_result_that_is_changed_after_the_neurons_is_refused(
    function: str, step: Any, whole: Any
) -> None:
    net = Masked(step, whole)
    with pytest.raises(ModelError) as error:
        snnstack.load(net, X)
    assert str(error.value) == (
        f"{function}: changes some elements of what 'lif' sends, and the network would not "
        "(do it to the network's result, outside of the module; outputs=['lif'] leaves it out)"
    )
    assert snnstack.load(net, X, outputs=["lif"]).metadata["agreement"]["mismatches"] == 0


def collected(z: Any) -> Any:
    out = torch.zeros(len(z), *z[0].shape)
    for t, one in enumerate(z):
        out[t] = one
    return out


@pytest.mark.parametrize(
    ("step", "whole"),
    [
        (None, None), (None, lambda z: z.sum(0)), (None, lambda z: z[-1]),
        (None, lambda z: (z.mean(0) * 0.5).softmax(-1)), (lambda z: z * 0.5 + 1, None),
        (None, collected), (None, lambda z: (z, (z * MASK).sum())),
    ],
)  # fmt: skip
def test_a_result_that_is_read_out_alike_is_taken(step: Any, whole: Any) -> None:
    assert snnstack.load(Masked(step, whole), X).metadata["agreement"]["mismatches"] == 0


def test_a_mask_between_neurons_is_part_of_the_network() -> None:
    net = Loop(lambda net, t, *states: usual(net, *states, lambda z: z * (torch.arange(10) % 2)))
    assert snnstack.load(net, X).metadata["agreement"]["mismatches"] == 0


class Collected(nn.Module):
    """A layer stepped over the sample; `after` is done to all steps' spikes together."""

    def __init__(self, after: Any) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(12, 8), snn.Leaky(beta=0.5)
        self.after = after

    def forward(self, x: Any) -> Any:
        mem, out = self.lif.reset_mem(), []
        for now in x:
            spk, mem = self.lif(self.fc(now), mem)
            out.append(spk)
        return self.after(torch.stack(out))


@pytest.mark.parametrize(
    ("function", "after"),
    [
        ("indexing", lambda z: z[..., :4]),
        ("indexing", lambda z: z[:, :, ::2]),
        ("indexing", lambda z: z[:, :, [1, 0, 2, 3, 4, 5, 6, 7]]),
        ("indexing", lambda z: z.flatten(0, 1)[:, 4:].reshape(len(z), -1, 4)),
        ("indexing", lambda z: z.permute(2, 0, 1)[:4].permute(1, 2, 0)),
        ("narrow()", lambda z: z.narrow(2, 1, 4)),
        ("index_select()", lambda z: z.index_select(2, torch.tensor([7, 0]))),
        ("chunk()", lambda z: z.chunk(2, -1)[1]),
    ],
)
def test_neurons_are_not_taken_out_of_collected_steps(function: str, after: Any) -> None:
    with pytest.raises(ModelError) as error:
        snnstack.load(Collected(after), X)
    what = "changes some elements of what 'lif' sends, and the network would not"
    assert [(p.where, p.what) for p in error.value.problems] == [(function, what)]


@pytest.mark.parametrize(
    "after",
    [
        lambda z: z[-1],
        lambda z: z[1:],
        lambda z: z[:, :2],
        lambda z: z.transpose(0, 1),
        lambda z: z.flatten(0, 1),
        lambda z: z.permute(2, 0, 1),
        lambda z: z.sum(0),
    ],
)
def test_steps_and_samples_are_taken_and_laid_as_one_likes(after: Any) -> None:
    graph = snnstack.load(Collected(after), X)
    assert graph.metadata["agreement"]["mismatches"] == 0
