"""Steps printed as C, compiled by the host's compiler with UBSan, and run."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnstack.dynamics.c_place import Place
from snnstack.dynamics.c_words import TYPES, array_text, stored
from snnstack.dynamics.model import Neurons
from snnstack.dynamics.print_c import printed
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.spans import Span
from snnstack.dynamics.trace import traced

FLAGS = ["-std=gnu99", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-ffp-contract=off"]
CHECKED = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]


@dataclass(frozen=True)
class Case:
    """Neurons, what arrives [inputs, steps, n], and intervals of inputs and states."""

    neurons: Neurons
    sums: Any
    bounds: Mapping[str, Span]


def c_text(case: Case, k: int) -> str:
    """The arrays and functions of case `k`."""
    neurons, step = case.neurons, traced(case.neurons)
    model, kind = neurons.model, TYPES[neurons.number]
    place = Place(
        state=lambda name: f"s{k}_{name}[j]",
        input=lambda name: f"x{k}_{name}[j]",
        param=lambda name: f"p{k}_{name}[j]",
        result=lambda name, text: f"r{k}_{name}[j] = {text};",
    )
    body = printed(step, place, case.bounds, ("state", "reads", "sent"))
    lines = [
        array_text(stored(step, name), f"p{k}_{name}", kind, neurons.number) for name in body.arrays
    ]
    for table in dict.fromkeys(body.tables):
        entries = ", ".join(map(str, table.entries))
        lines += [f"#ifndef T_{table.name}", f"#define T_{table.name}"]
        lines += [f"static const int32_t {table.name}[] = {{{entries}}};", "#endif"]
    arrays = [f"x{k}_{name}" for name in model.inputs] + [f"s{k}_{name}" for name in model.states]
    arrays += [f"r{k}_reads_{name}" for name in step.of("reads")]
    lines += [f"static {kind} {name}[{neurons.n}];" for name in arrays]
    for name in model.states:
        start = ", ".join(map(repr, neurons.start(name).tolist()))
        lines.append(f"static const {kind} b{k}_{name}[] = {{{start}}};")
    lines += [f"static void case_{k}(void)", "{", f"    {kind} sent[{neurons.n}];"]
    lines += [f"    memcpy(s{k}_{x}, b{k}_{x}, sizeof b{k}_{x});" for x in model.states]
    lines.append(f"    for (int t = 0; t < {case.sums.shape[1]}; t++) {{")
    lines += [f"        get(x{k}_{name}, sizeof x{k}_{name});" for name in model.inputs]
    lines += ["        memset(sent, 0, sizeof sent);"]
    lines += [f"        for (int j = 0; j < {neurons.n}; j++) {{", body.text(3), "        }"]
    lines += ["        put(sent, sizeof sent);"]
    lines += [f"        put({name}, sizeof {name});" for name in arrays[len(model.inputs) :]]
    return "\n".join([*lines, "    }", "}", ""])


HEAD = """#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void get(void *to, size_t n) { if (fread(to, 1, n, stdin) != n) exit(3); }
static void put(const void *from, size_t n) { if (fwrite(from, 1, n, stdout) != n) exit(4); }
"""


def run_c(cases: Sequence[Case], folder: Path) -> list[list[Any]]:
    """For every case and step: rows [1 + states + reads, n], first what was sent."""
    texts = [c_text(case, k) for k, case in enumerate(cases)]
    calls = "".join(f" case_{k}();" for k in range(len(cases)))
    source, program = folder / "step.c", folder / "step"
    source.write_text(HEAD + "\n".join(texts) + f"int main(void) {{{calls} return 0; }}\n")
    command = ["gcc", *FLAGS, *CHECKED, str(source), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    given = [np.moveaxis(c.sums, 0, 1).astype(c.neurons.number).tobytes() for c in cases]
    ran = subprocess.run([program], input=b"".join(given), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    found, at = [], 0
    for case in cases:
        model, n = case.neurons.model, case.neurons.n
        rows = 1 + len(model.states) + len(traced(case.neurons).of("reads"))
        count = case.sums.shape[1] * rows * n
        values = np.frombuffer(ran.stdout, case.neurons.number, count, at)
        at += values.nbytes
        found.append(list(values.reshape(-1, rows, n)))
    return found


def run_numpy(case: Case) -> list[Any]:
    """The same by the definition."""
    layer, rows = Definition(case.neurons, 1), []
    shown = traced(case.neurons).of("reads")
    for t in range(case.sums.shape[1]):
        sent = layer(*(x[t][None] for x in case.sums))
        parts = [np.zeros(case.neurons.n) if sent is None else sent[0]]
        parts += [layer.state[name][0] for name in case.neurons.model.states]
        parts += [layer.reads[name][0] for name in shown]
        rows.append(np.stack([np.asarray(p, layer.state and parts[1].dtype) for p in parts]))
    return rows
