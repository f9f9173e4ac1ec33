"""A layer that steps in machine code, beside the definition."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from snnstack.dynamics.machine_code import address
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.print_llvm import Port, assembly, parameter_block, rows
from snnstack.dynamics.trace import traced


class Machine:
    """`state` [n] by name; a call on the sums [n] of every input gives what is sent [n]."""

    def __init__(self, neurons: Neurons) -> None:
        self.neurons, self.step = neurons, traced(neurons)
        ports = [Port("whole", row=k) for k in range(len(neurons.model.inputs))]
        code = address(assembly(self.step, neurons.number, ports, False))
        pointer = ctypes.c_void_p
        self.call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, *[pointer] * 6)(code)
        self.rows = rows(self.step, False)
        self.states = np.array([neurons.start(name) for name in self.rows], neurons.number)
        self.states = self.states.reshape(len(self.rows), neurons.n)
        self.block = parameter_block(self.step)

    @property
    def state(self) -> dict[str, Any]:
        return dict(zip(self.rows, self.states, strict=True))

    def __call__(self, *inputs: Any) -> Any:
        n = self.neurons.n
        x = np.ascontiguousarray(np.stack(inputs), self.neurons.number)
        flags, active, sent = np.zeros(n, np.uint8), np.zeros(n, np.int32), np.zeros(n, np.int64)
        arrays = (x, self.block, self.states, flags, active, sent)
        self.call(n, *(a.ctypes.data for a in arrays))
        if self.neurons.model.sends != "value":
            return flags.astype(bool)
        values = sent if self.neurons.integer else sent.view(np.float64)
        np.testing.assert_array_equal(flags != 0, values != 0)
        return values
