"""Compile: a quantised network becomes a microcontroller program that fits its board."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.mcu.events import words_in_memory
from snnstack.backends.mcu.memory import memory_plan
from snnstack.backends.mcu.numerics import NUMERICS
from snnstack.backends.mcu.program import Golden, InputPort, Layer, Order, Program
from snnstack.backends.mcu.rules import NETWORK_RULES, PROGRAM_RULES
from snnstack.board import Board
from snnstack.compilers.mcu.forms import chosen
from snnstack.compilers.mcu.order import orders, permutation, plain
from snnstack.compilers.mcu.tables import routes
from snnstack.compilers.mcu.widths import histories, widths
from snnstack.dynamics.model import Neurons
from snnstack.errors import CapacityError, ModelError, raise_if_any
from snnstack.foreign_text import identifier
from snnstack.ir.nodes import Shape
from snnstack.ir.step import StepInput
from snnstack.quant.network import QuantizedNetwork, QuantizedPopulation
from snnstack.quant.neurons import integer_neurons
from snnstack.reference import run_quantized
from snnstack.trace import Spikes

GOLDEN_STEPS = 16
GOLDEN_RATE = 0.15


def compile(network: QuantizedNetwork, board: Board) -> Program:
    """The program of `network` on `board`.

    Raises ModelError for what the target cannot express and CapacityError, with the bytes
    needed and available, for what does not fit.
    """
    raise_if_any(ModelError, (p for rule in NETWORK_RULES for p in rule(network, board)))
    program = _program(plain(network), board)
    program = chosen(program, network.settings.get("events_per_step", {}))
    program = replace(program, memory=memory_plan(program))
    raise_if_any(CapacityError, (p for rule in PROGRAM_RULES for p in rule(program)))
    return replace(program, golden=golden(network, program))


def _program(network: QuantizedNetwork, board: Board) -> Program:
    port = network.port
    order = orders(network)
    kept = histories(network)
    shapes: dict[str, Shape] = {part.name: part.shape for part in network.inputs}
    shapes |= {p.name: p.shape for p in network.populations}
    layers = tuple(_layer(network, p, shapes, order, kept[p.name]) for p in network.populations)
    return Program(
        name=identifier(str(network.settings.get("name", "network"))),
        board=board,
        input=_input(port, order.get(port.name, "c"), kept.get(port.name, 1)),
        parts=tuple(_input(part, order[part.name], kept[part.name]) for part in port.parts),
        layers=layers,
        outputs=network.outputs,
        dt=network.dt,
        memory={},
        scales={p.name: p.scale for p in network.populations},
        settings=network.settings,
    )


def _input(port: StepInput, order: Order, history: int) -> InputPort:
    valued = port.events == "value"
    return InputPort(port.name, port.shape, order, port.max_count, history, valued)


def _layer(
    network: QuantizedNetwork,
    population: QuantizedPopulation,
    shapes: dict[str, Shape],
    order: dict[str, Order],
    history: int,
) -> Layer:
    positions = permutation(population.shape, order[population.name])
    proof = widths(network, population)
    return Layer(
        name=population.name,
        shape=population.shape,
        order=order[population.name],
        routes=tuple(
            replace(r, port=population.model.inputs.index(p.port))
            for p in network.into(population.name)
            for r in routes(p, shapes, order, network.numerics)
        ),
        neurons=_stored(integer_neurons(population, NUMERICS).at(positions)),
        accumulator_bits=proof.accumulator_bits,
        saturate_v=proof.saturate_v,
        saturate_i=proof.saturate_i,
        history=history,
        payload=population.payload,
    )


def _stored(neurons: Neurons) -> Neurons:
    """Numbers in the fewest bytes of int32 and int64 that hold them."""

    def kept(value: Any) -> Any:
        fits = np.ndim(value) and np.abs(value).max(initial=0) < 2**31
        return np.asarray(value).astype(np.int32) if fits else value

    return replace(neurons, values={name: kept(v) for name, v in neurons.values.items()})


def _carrying(spikes: Spikes) -> Spikes:
    """The same events with seeded random values."""
    values = np.random.default_rng(1).integers(1, 256, len(spikes.indices), dtype=np.int32)
    return replace(spikes, counts=None, values=values)


def golden(network: QuantizedNetwork, program: Program) -> Golden:
    """A short run of the integer reference on seeded random events."""
    port = network.port
    random = np.random.default_rng(0).random((1, GOLDEN_STEPS, *port.shape))
    spikes = Spikes.from_dense((random < GOLDEN_RATE).astype(np.uint8))
    if program.input.values:
        spikes = _carrying(spikes)
    probes = [(layer.name, layer.variables[0]) for layer in program.layers]
    trace = run_quantized(network, spikes, probes)
    words, per_step = words_in_memory(program, spikes)
    words = words if program.input.values else words.astype(np.int32)
    counts = [
        np.diff(trace.spikes[layer.name].indptr)
        if layer.name in trace.spikes
        else np.zeros(GOLDEN_STEPS, dtype=np.int64)
        for layer in program.layers
    ]
    total = sum(trace.states[probe][0].sum(axis=1) for probe in probes)
    return Golden(
        events=tuple(np.split(words, np.cumsum(per_step)[:-1])),
        spikes=np.stack(counts, axis=1).astype(np.int32),
        checksum=(np.asarray(total) & 0xFFFFFFFF).astype(np.uint32),
    )
