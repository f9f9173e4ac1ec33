"""A graph, node by node and step by step with torch: NIR's equations and nothing shared with us."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from snnstack.ir.graph import Graph
from snnstack.ir.nodes import (
    IF,
    LIF,
    NEURONS,
    Affine,
    AvgPool2d,
    Conv1d,
    Conv2d,
    CubaLI,
    CubaLIF,
    Delay,
    Flatten,
    I,
    Input,
    Linear,
    Output,
    Scale,
    SumPool2d,
    Threshold,
)
from snnstack.ir.shapes import output_shapes


def _tensor(values: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float64))


class Stepper:
    """State of a batch on a graph with dt and integrator; nested graphs are steppers themselves.

    Before the first step no neuron has sent anything, and biases have always been there: what
    a delay lets through at first is the constant part of its input.

    `sent`, `v` by node: what it sent and its membrane in every step, [batch, *shape]. `margin`:
    smallest distance of any membrane to its threshold: below 1e-9, rounding decides a spike.
    """

    def __init__(self, graph: Graph, dt: float, exact: bool) -> None:
        self.graph, self.dt, self.exact = graph, dt, exact
        self.t, self.margin = -1, math.inf
        self.sent: dict[str, list[torch.Tensor]] = {name: [] for name in graph.nodes}
        self.given: dict[str, list[torch.Tensor]] = {name: [] for name in graph.nodes}
        self.v: dict[str, list[torch.Tensor]] = {name: [] for name in graph.nodes}
        self.state: dict[str, dict[str, Any]] = {name: {} for name in graph.nodes}
        self.parts = {
            name: Stepper(node, dt, exact)
            for name, node in graph.nodes.items()
            if isinstance(node, Graph)
        }
        self.order = self._order()
        self.past: dict[str, torch.Tensor] = {}
        self.past_input: dict[str, torch.Tensor] = {}

    def _late(self, edge: Any) -> int:
        """A recurrent edge that says no delay acts one step later."""
        return int(edge.source.endswith(" rec")) if edge.delay is None else edge.delay

    def _order(self) -> list[str]:
        left, ordered = list(self.graph.nodes), []
        while left:
            name = next(
                n for n in left
                if not any(e.target == n and e.source in left and not self._late(e)
                           for e in self.graph.edges)
            )  # fmt: skip
            left.remove(name)
            ordered.append(name)
        return ordered

    def begin(self, x: torch.Tensor) -> torch.Tensor:
        """What every node has always sent if the input has always been `x`; that of the output."""
        shapes = output_shapes(self.graph)
        out = x
        for name in self.order:
            node = self.graph.nodes[name]
            parts = [self.past[e.source] for e in self.graph.edges
                     if e.target == name and e.source in self.past]  # fmt: skip
            constant = sum(parts) if parts else x if isinstance(node, Input) else None
            if isinstance(node, NEURONS) or constant is None:
                self.past[name] = torch.zeros(len(x), *shapes[name], dtype=torch.float64)
                continue
            self.past_input[name] = constant
            part = self.parts.get(name)
            plain = replace(node, delay=None) if isinstance(node, (Linear, Affine)) else node
            plain = Scale(np.ones(1)) if isinstance(node, Delay) else plain
            self.past[name] = part.begin(constant) if part else self._node(name, plain, constant)
            if isinstance(node, Output):
                out = constant
        return out

    def step(self, x: torch.Tensor) -> torch.Tensor:
        """One step of [batch, *input shape]; what the (last) output says."""
        if not self.past:
            self.begin(torch.zeros_like(x))
        self.t += 1
        out = x
        for name in self.order:
            node = self.graph.nodes[name]
            value = x if isinstance(node, Input) else self._input(name)
            self.given[name].append(value)
            self.sent[name].append(self._node(name, node, value))
            if isinstance(node, (*NEURONS, Output)):
                self.v[name].append(self.state[name].get("v", value))
            if isinstance(node, Output):
                out = value
        return out

    def _sent(self, name: str, t: int) -> torch.Tensor:
        return self.sent[name][t] if t >= 0 else self.past[name]

    def _given(self, name: str, t: int) -> torch.Tensor:
        return self.given[name][t] if t >= 0 else self.past_input[name]

    def _input(self, name: str) -> torch.Tensor:
        total = torch.zeros(())
        for edge in self.graph.edges:
            if edge.target == name and edge.delay is None and self._late(edge):
                total = total + self._recurrent(edge.source)
            elif edge.target == name:
                total = total + self._sent(edge.source, self.t - self._late(edge))
        return total

    def _recurrent(self, name: str) -> torch.Tensor:
        """A recurrent Linear: synapses of one step or more need no further step."""
        node: Any = self.graph.nodes[name]
        source = next(e.source for e in self.graph.edges if e.target == name)
        delay = np.zeros(node.weight.shape, int) if node.delay is None else node.delay
        return self._delayed(self._sent, source, node.weight, np.maximum(delay, 1))

    def _delayed(self, seen: Any, name: str, weight: Any, delay: Any) -> torch.Tensor:
        return sum(
            seen(name, self.t - int(k)) @ _tensor(np.where(delay == k, weight, 0)).T
            for k in np.unique(delay)
        )

    def _node(self, name: str, node: Any, x: torch.Tensor) -> torch.Tensor:
        match node:
            case Graph():
                out = self.parts[name].step(x)
                self.margin = min(self.margin, self.parts[name].margin)
                return out
            case Input() | Output():
                return x
            case Linear() | Affine():
                out = x @ _tensor(node.weight).T
                if node.delay is not None:
                    out = self._delayed(self._given, name, node.weight, node.delay)
                return out + _tensor(node.bias) if isinstance(node, Affine) else out
            case Scale():
                return x * _tensor(node.scale)
            case Delay():
                steps = np.rint(np.broadcast_to(node.delay, x.shape[1:]) / self.dt).astype(int)
                return sum(
                    torch.tensor(steps == k) * self._given(name, self.t - int(k))
                    for k in np.unique(steps)
                )
            case Flatten():
                ends = (k + 1 if k >= 0 else k for k in (node.start_dim, node.end_dim))
                return torch.flatten(x, *ends)
            case Conv1d() | Conv2d():
                return _conv(node, x)
            case SumPool2d() | AvgPool2d():
                window = (node.kernel_size, node.stride, node.padding)
                mean = F.avg_pool2d(x, *window, count_include_pad=True)
                area = node.kernel_size[0] * node.kernel_size[1]
                return mean * area if isinstance(node, SumPool2d) else mean
        return self._neuron(name, node, x)

    def _low_pass(self, old: Any, tau: Any, target: torch.Tensor) -> torch.Tensor:
        """`tau ds/dt = target - s`, over one step."""
        tau = _tensor(tau)
        if self.exact:
            return old + (1 - torch.exp(-self.dt / tau)) * (target - old)
        return old + self.dt / tau * (target - old)

    def _neuron(self, name: str, node: Any, x: torch.Tensor) -> torch.Tensor:
        state = self.state[name]
        v = state.get("v", torch.zeros_like(x))
        if isinstance(node, Threshold):
            v = x
        elif isinstance(node, (I, IF)):
            v, state["kept"] = v + self.dt * _tensor(node.r) * x, 1.0
        else:
            if isinstance(node, (CubaLI, CubaLIF)):
                old = state.get("i", torch.zeros_like(x))
                x = state["i"] = self._low_pass(old, node.tau_syn, _tensor(node.w_in) * x)
            tau = node.tau_mem if isinstance(node, (CubaLI, CubaLIF)) else node.tau
            v = self._low_pass(v, tau, _tensor(node.v_leak) + _tensor(node.r) * x)
            nothing = torch.zeros_like(v)
            state["kept"] = self._low_pass(nothing + 1.0, tau, nothing)
        return self._fire(name, node, state, v)

    def _fire(self, name: str, node: Any, state: Any, v: torch.Tensor) -> torch.Tensor:
        if not isinstance(node, (Threshold, IF, LIF, CubaLIF)):
            state["v"] = v
            return v
        threshold = _tensor(node.threshold if isinstance(node, Threshold) else node.v_threshold)
        if getattr(node, "reset_time", "now") != "now":
            return self._late_fire(node, state, v, threshold)
        rest = state.get("rest", torch.zeros_like(v))
        v = torch.where(rest > 0, state.get("v", v), v)
        self.margin = min(self.margin, _least(v - threshold, rest))
        fires = ((v >= threshold) if node.compare == "ge" else (v > threshold)) & (rest <= 0)
        after = torch.zeros_like(v)
        if not isinstance(node, Threshold) and node.reset == "subtract":
            after = v - threshold
        elif not isinstance(node, Threshold) and node.reset == "none":
            after = v
        elif not isinstance(node, Threshold) and node.reset == "v_reset":
            after = after + _tensor(node.v_reset)
        state["v"] = torch.where(fires, after, v)
        wait = round(getattr(node, "refractory", 0.0) / self.dt)
        state["rest"] = torch.where(fires, float(wait), (rest - 1).clamp(min=0))
        return fires.double()

    def _late_fire(self, node: Any, state: Any, v: torch.Tensor, threshold: Any) -> torch.Tensor:
        """snnTorch's way: the membrane that the step starts from asks for the reset."""
        old = state.get("v", torch.zeros_like(v))
        asked = _above(node, old, threshold)
        to = _tensor(node.v_reset) if node.reset == "v_reset" else torch.zeros_like(v)
        if node.reset == "subtract":
            v = v - asked * threshold
        elif node.reset_time == "next":  # what is left of the old membrane becomes that of `to`
            v = v - asked * (state["kept"] * (old - to))
        else:
            v = torch.where(asked > 0, to, v)
        fires = _above(node, v, threshold)
        self.margin = min(self.margin, float((v - threshold).abs().min()))
        if node.reset_time == "recheck":
            v = v - (fires - asked) * threshold
            self.margin = min(self.margin, float((v - threshold).abs().min()))
        state["v"] = v
        return fires


def _above(node: Any, v: torch.Tensor, threshold: Any) -> torch.Tensor:
    return ((v >= threshold) if node.compare == "ge" else (v > threshold)).double()


def _least(distance: torch.Tensor, rest: torch.Tensor) -> float:
    active = distance.abs()[rest <= 0]
    return float(active.min()) if active.numel() else math.inf


def _conv(node: Conv1d | Conv2d, x: torch.Tensor) -> torch.Tensor:
    run = F.conv1d if isinstance(node, Conv1d) else F.conv2d
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the copy that even kernels need
        return run(
            x, _tensor(node.weight), _tensor(node.bias), node.stride, node.padding,
            node.dilation, node.groups,
        )  # fmt: skip


def run_graph(graph: Graph, dense: Any) -> Stepper:
    """All steps of `dense` [batch, steps, *input shape]."""
    assert graph.dt is not None
    stepper = Stepper(graph, graph.dt, graph.integrator == "exponential")
    for t in range(dense.shape[1]):
        stepper.step(_tensor(dense[:, t]))
    return stepper
