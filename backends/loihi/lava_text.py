"""A population with a program of its own as a Lava process: text, made from checked data alone.

The text goes into the program's directory for people to read and to run. What is executed here
is made anew from the program's data; a text that was received is compared with it and never run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snnstack.backends.loihi.network import ChipNetwork, Programmed
from snnstack.dynamics.c_words import tables
from snnstack.dynamics.print_python import identifier, python_step
from snnstack.dynamics.trace import Step, traced
from snnstack.ir.nodes import Array

PROCESS, MODEL = "Neurons", "PyNeurons"
STATE, PARAMETER, PORT = "state_{}", "param_{}", "in_{}"
NEXT, TABLE = "next_{}", "TABLE_{}"
"""What a name becomes: none of Lava's own, and none of Python's words."""
TEXTS = "lava/"
"""Folder of the texts."""
STATE_LIMIT = 1 << 23

TEXT = '''"""Neurons of the model {model} as a process of Intel's Lava, in integers."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
{tables}

class {process}(AbstractProcess):
    """`shape`: (neurons,). `given`: first values of states, and parameters of every neuron."""

    def __init__(self, *, shape, **given):
        super().__init__()
{declared}


@implements(proc={process}, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class {kind}(PyLoihiProcessModel):
{typed}

    def run_spk(self):
{step}
'''


def process_files(network: ChipNetwork) -> dict[str, bytes]:
    """{"lava/population<k>.py": text} of every population with a program of its own."""
    return {
        f"{TEXTS}population{k}.py": process_text(p).encode()
        for k, p in enumerate(network.populations)
        if isinstance(p, Programmed)
    }


def process_step(p: Programmed) -> Step:
    """The step as it is printed: parameters that are one number for all are constants.

    Its results stand by name, so that the text does not depend on the order of a file.
    """
    step = traced(p.neurons, constants=True)
    return replace(step, roots=dict(sorted(step.roots.items())))


def process_arrays(p: Programmed) -> dict[str, Array]:
    """What the process is given, by name: first values of its states, parameters; int32 [n]."""
    step = process_step(p)
    found: dict[str, Any] = {STATE.format(name): p.neurons.start(name) for name in p.variables}
    found |= {PARAMETER.format(name): p.neurons.value(name) for name in step.arrays}
    return {
        name: np.broadcast_to(np.asarray(value), p.n).astype(np.int32)
        for name, value in found.items()
    }


def process_text(p: Programmed) -> str:
    """The module that defines `PROCESS` and its model `MODEL`. ModelError: no such text."""
    step, model = process_step(p), p.model
    for name in (model.name, *p.variables, *model.inputs, *step.arrays):
        identifier(name, p.name)
    own = [(STATE.format(s), 24) for s in p.variables]
    own += [(PARAMETER.format(a), 32) for a in step.arrays]
    ports = [PORT.format(name) for name in model.inputs]
    declared = [f"self.{port} = InPort(shape=shape)" for port in ports]
    declared += ["self.s_out = OutPort(shape=shape)"]
    declared += [f'self.{name} = Var(shape=shape, init=given["{name}"])' for name, _ in own]
    typed = [f"{port} = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)" for port in ports]
    typed += ["s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)"]
    typed += [f"{k} = LavaPyType(np.ndarray, np.int32, precision={bits})" for k, bits in own]
    return TEXT.format(
        model=model.name,
        tables=_tables(step),
        process=PROCESS,
        kind=MODEL,
        declared=_lines(declared, 8),
        typed=_lines(typed, 4),
        step=_lines(_step(step), 8),
    )


def _tables(step: Step) -> str:
    found = {identifier(t.name, step.neurons.model.name): t.entries for t in tables(step)}
    rows = [f"{TABLE.format(k)} = np.array({[*map(int, e)]}, np.int32)" for k, e in found.items()]
    return "\n".join(["", *rows, ""]) if rows else ""


def _step(step: Step) -> list[str]:
    model = step.neurons.model
    made = python_step(
        step, lambda s: f"self.{STATE.format(s)}", lambda s: f"self.{PARAMETER.format(s)}",
        PORT.format, TABLE.format,
    )  # fmt: skip
    lines = [f"{PORT.format(name)} = self.{PORT.format(name)}.recv()" for name in model.inputs]
    lines += made.lines
    if "fits" in made.roots:
        lines += _refused(
            f"not np.all({made.roots['fits']})", f"{model.name}: a number is too wide"
        )
    after = [name for name in model.states if f"state {name}" in made.roots]
    for name in after:  # a copy, as a state may become what another one is
        lines += [f"{NEXT.format(name)} = np.add({made.roots[f'state {name}']}, 0)"]
        wide = f"np.any(np.abs({NEXT.format(name)} + 0.5) > {STATE_LIMIT})"
        lines += _refused(wide, f"{model.name}: state {name} leaves 24 bits")
    lines += [f"sent = np.add({made.roots.get('sent', '0')}, 0)"]
    lines += [f"self.{STATE.format(name)}[:] = {NEXT.format(name)}" for name in after]
    return [
        *lines,
        f"self.s_out_buff = np.zeros(self.{PORT.format(model.inputs[0])}.shape, np.int32)",
        "self.s_out_buff[:] = sent",
        "self.s_out.send(self.s_out_buff)",
    ]


def _refused(condition: str, why: str) -> list[str]:
    return [f"if {condition}:", f'    raise OverflowError("{why}")']


def _lines(lines: list[str], depth: int) -> str:
    return "\n".join(" " * depth + line for line in lines)
