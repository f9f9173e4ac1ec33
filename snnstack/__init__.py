"""snnstack takes a trained spiking neural network to hardware and proves that it still works.

>>> import snnstack
>>> [verb for verb in ("load", "compile", "emulate", "verify", "bench") if verb in dir(snnstack)]
['load', 'compile', 'emulate', 'verify', 'bench']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import snnstack.frozen  # noqa: F401  # read-only mappings can be pickled

if TYPE_CHECKING:
    from snnstack.ann import accuracy_curve, convert
    from snnstack.api import (
        Ann,
        Build,
        bench,
        build,
        compile,
        emulate,
        emulate_batches,
        load,
        open_program,
        save,
        verify,
        write_nir,
    )
    from snnstack.board import all_boards, load_board
    from snnstack.dynamics.model import Next
    from snnstack.dynamics.own import neuron
    from snnstack.dynamics.rule import Memory, Plastic, Rule
    from snnstack.dynamics.terms import where
    from snnstack.errors import Problem, SnnstackError
    from snnstack.exports import to_onnx
    from snnstack.foreign import trusting
    from snnstack.frontends.levels import encode
    from snnstack.ir.graph import Edge, Graph
    from snnstack.ir.nodes import Cells
    from snnstack.passes.options import Options
    from snnstack.trace import Spikes, Trace
    from snnstack.training import Recipe, fit, qat, torch_module, trained

_WHERE = {
    "Ann": "snnstack.api",
    "Build": "snnstack.api",
    "Cells": "snnstack.ir.nodes",
    "Memory": "snnstack.dynamics.rule",
    "Plastic": "snnstack.dynamics.rule",
    "Rule": "snnstack.dynamics.rule",
    "Edge": "snnstack.ir.graph",
    "Graph": "snnstack.ir.graph",
    "Next": "snnstack.dynamics.model",
    "neuron": "snnstack.dynamics.own",
    "where": "snnstack.dynamics.terms",
    "Options": "snnstack.passes.options",
    "Problem": "snnstack.errors",
    "SnnstackError": "snnstack.errors",
    "Recipe": "snnstack.training",
    "Spikes": "snnstack.trace",
    "Trace": "snnstack.trace",
    "accuracy_curve": "snnstack.ann",
    "all_boards": "snnstack.board",
    "bench": "snnstack.api",
    "build": "snnstack.api",
    "compile": "snnstack.api",
    "convert": "snnstack.ann",
    "emulate": "snnstack.api",
    "encode": "snnstack.frontends.levels",
    "emulate_batches": "snnstack.api",
    "fit": "snnstack.training",
    "load": "snnstack.api",
    "load_board": "snnstack.board",
    "open_program": "snnstack.api",
    "save": "snnstack.api",
    "to_onnx": "snnstack.exports",
    "torch_module": "snnstack.training",
    "qat": "snnstack.training",
    "trained": "snnstack.training",
    "trusting": "snnstack.foreign",
    "verify": "snnstack.api",
    "write_nir": "snnstack.api",
}

__all__ = [
    "Ann",
    "Build",
    "Cells",
    "Edge",
    "Graph",
    "Memory",
    "Next",
    "Options",
    "Plastic",
    "Problem",
    "Recipe",
    "Rule",
    "SnnstackError",
    "Spikes",
    "Trace",
    "accuracy_curve",
    "all_boards",
    "bench",
    "build",
    "compile",
    "convert",
    "emulate",
    "emulate_batches",
    "encode",
    "fit",
    "load",
    "load_board",
    "neuron",
    "open_program",
    "qat",
    "save",
    "to_onnx",
    "torch_module",
    "trained",
    "trusting",
    "verify",
    "where",
    "write_nir",
]


def __getattr__(name: str) -> Any:
    """Load a verb when it is first used: `import snnstack` stays fast."""
    if name not in _WHERE:
        raise AttributeError(f"module 'snnstack' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return __all__
