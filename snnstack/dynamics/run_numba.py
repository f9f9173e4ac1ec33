"""A layer's step as machine code: text written from its expressions, compiled by Numba.

The text depends on the *structure* of a step (operations, which parameters differ from neuron
to neuron), never on its numbers, so that layers that differ only in numbers share their code. It
is kept on disk beside Numba's own files, and so is what Numba makes of it.

    update(n, x, parameters, states, flags, active, sent) -> 1, or 0 if a number does not fit

All but n are addresses: `x` sums of this step, `parameters` the block that `parameter_block`
makes, `states` [row, n] (see `rows`), `flags` uint8 [n]: who sends, `active` int32 [n], counted
up, `sent` int64 [n]: the values of a model that sends values.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnstack.dynamics.expr import E
from snnstack.dynamics.print_text import written
from snnstack.dynamics.trace import Step

HEAD = '''"""Written by snnstack from a neuron model; made anew when it is missing."""

import numpy as np
from numba import carray, cfunc, types

from snnstack.dynamics.arithmetic import decayed, shrunk

'''
SIGNATURE = (
    "types.int64(types.int64, types.CPointer(types.{x}), types.CPointer(types.{number}), "
    "types.CPointer(types.{number}), types.CPointer(types.uint8), types.CPointer(types.int32), "
    "types.CPointer(types.int64))"
)


def rows(step: Step, probed: bool) -> tuple[str, ...]:
    """What the rows of a layer's states hold: its states, then what probes read, if `probed`."""
    shown = tuple(f"reads_{name}" for name in step.of("reads")) if probed else ()
    return (*step.of("state"), *shown)


def parameter_block(step: Step) -> NDArray[Any]:
    """The parameters as `update` reads them: numbers for all, then rows of numbers [n] each."""
    neurons = step.neurons
    alone = [np.asarray(neurons.value(name)).flat[0] for name in step.scalars]
    each = [np.broadcast_to(np.asarray(neurons.value(name)), neurons.n) for name in step.arrays]
    parts = [np.asarray(alone, dtype=neurons.number)]
    return np.concatenate([*parts, *(np.asarray(row, dtype=neurons.number) for row in each)])


def update(step: Step, x: str, ports: Sequence[str], probed: bool) -> int:
    """The address of the machine code of `step`; it stays valid as long as the process lives.

    `x`: type of the sums. `ports`: how each input reads the sum `total`, e.g. "{T}(total)".
    """
    return int(_compiled(text(step, x, ports, probed)).update.address)


def text(step: Step, x: str, ports: Sequence[str], probed: bool) -> str:
    """The module text of a step."""
    number, names = step.neurons.number, step.neurons.model.inputs
    columns = (f"numba_{number}", "numba" if step.neurons.integer else "numba_real", "numba")
    found = written(step.roots, _leaf(step), columns, f"np.{number}")
    kind = {"T": f"np.{number}"}
    body = ["total = x[j]"]
    body += [f"in_{name} = {port.format(**kind)}" for name, port in zip(names, ports, strict=True)]
    body += [f"{name} = {value}" for name, value in found.lines]
    body += _results(step, found.roots, probed)
    signature = SIGNATURE.format(x=x, number=number)
    fits = "fits" in step.roots
    lines = [f"{t.name} = np.array({list(t.entries)}, dtype=np.int32)" for t in found.tables]
    lines += [
        "",
        f'@cfunc({signature}, cache=KEPT, error_model="numpy")',
        "def update(n, x_, p_, s_, flags_, active_, sent_):",
        "    x = carray(x_, (n,))",
        *_views(step, probed),
        *(["    fits = True"] if fits else []),
        "    for j in range(n):",
        *(f"        {line}" for line in body),
        "    return 1 if fits else 0" if fits else "    return 1",
    ]
    return HEAD + "\n".join(lines) + "\n"


def _leaf(step: Step) -> Callable[[E], str]:
    def text(e: E) -> str:
        if e.op == "const":
            return f"np.{step.neurons.number}({e.value!r})"
        if e.op == "param":
            return f"k_{e.value}" if e.value in step.scalars else f"p_{e.value}[j]"
        return f"s_{e.value}[j]" if e.op == "state" else f"in_{e.value}"

    return text


def _views(step: Step, probed: bool) -> list[str]:
    """Views of the blocks: one name for each parameter and each row of states."""
    states, alone = rows(step, probed), len(step.scalars)
    lines = [
        f"    p = carray(p_, ({alone} + {len(step.arrays)} * n,))",
        f"    s = carray(s_, ({len(states)} * n,))",
        "    flags = carray(flags_, (n,))",
    ]
    if "active" in step.roots:
        lines.append("    active = carray(active_, (n,))")
    if step.neurons.model.sends == "value":
        lines.append("    sent = carray(sent_, (n,))")
    lines += [f"    k_{name} = p[{k}]" for k, name in enumerate(step.scalars)]
    lines += [
        f"    p_{name} = p[{alone} + {k} * n : {alone} + {k + 1} * n]"
        for k, name in enumerate(step.arrays)
    ]
    return lines + [f"    s_{row} = s[{k} * n : {k + 1} * n]" for k, row in enumerate(states)]


def _results(step: Step, roots: dict[str, str], probed: bool) -> list[str]:
    """Every result is computed before any state changes."""
    lines = [f"new_{k} = {roots[f'state {name}']}" for k, name in enumerate(step.of("state"))]
    if probed:
        lines += [f"s_reads_{name}[j] = {roots[f'reads {name}']}" for name in step.of("reads")]
    if step.neurons.model.sends == "value":
        lines += [f"out = {roots['sent']}", "sent[j] = out", "flags[j] = out != 0"]
    else:
        lines.append(f"flags[j] = {roots.get('sent', '0')}")
    if "active" in roots:
        lines.append(f"active[j] += np.int32({roots['active']})")
    if "fits" in roots:
        lines.append(f"fits &= {roots['fits']}")
    return lines + [f"s_{name}[j] = new_{k}" for k, name in enumerate(step.of("state"))]


@cache
def _compiled(source: str) -> ModuleType:
    """The module of this text, from disk where it can be kept there."""
    name = "update_" + hashlib.sha256(source.encode()).hexdigest()[:20]
    folder = _folder()
    if folder is not None:
        path = folder / f"{name}.py"
        _keep(path, source.replace("KEPT", "True"))
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            return module
    module = ModuleType(name)
    exec(compile(source.replace("KEPT", "False"), name, "exec"), module.__dict__)
    return module


def _keep(path: Path, source: str) -> None:
    """Write `source` unless it is there; a reader never sees half of it."""
    if path.exists() and path.read_text(encoding="utf-8") == source:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(source)
    os.replace(file.name, path)


@cache
def _folder() -> Path | None:
    """Where texts are kept: beside what Numba keeps of this package; None if it keeps nothing."""
    from snnstack.dynamics import arithmetic

    kept: Any = getattr(arithmetic.decayed, "_cache", None)
    if getattr(kept, "cache_path", None) is None:
        return None
    folder = Path(kept.cache_path) / "updates"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
