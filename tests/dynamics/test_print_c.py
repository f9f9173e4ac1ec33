"""Every operation in C99 is its definition, on random and extreme numbers, without overflow."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnstack.dynamics.model import Neurons
from snnstack.dynamics.neurons.cuba_lif import CUBA_LIF
from snnstack.dynamics.print_c import c_lines, fine_parameters, tables
from snnstack.dynamics.run_numpy import Definition
from snnstack.dynamics.trace import Step, traced
from tests.dynamics.test_ops import CONSTANTS, EDGES, OPS, model

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="cc not found")
FLAGS = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined",
         "-fsanitize-undefined-trap-on-error")  # fmt: skip
ROWS = 4000
WEIGHTS = {"state v": 1, "state i": 3, "state wait": 5, "sent": 7}


def numbers(name: str, seed: int) -> list[np.ndarray]:
    """Arguments [ROWS]: ends of their ranges, next to them, next to 0, and random ones."""
    rng = np.random.default_rng(seed)
    found = []
    for low, high in EDGES[name]:
        edge = np.array([low, low + 1, high, high - 1, -1, 0, 1, 2])
        edge = edge[(edge >= low) & (edge <= high)]
        found.append(np.where(rng.random(ROWS) < 0.5, rng.choice(edge, ROWS),
                              rng.integers(low, high, ROWS, endpoint=True)))  # fmt: skip
    return found


def function(name: str, step: Step, fields: list[str]) -> str:
    """`name`(row) -> sum of all results, weighted; `row`: states, parameters, input."""
    made = c_lines(step, lambda e: f"a[{fields.index(e.value)}]")
    lines = [f"static const int32_t {t.name}[] = {{{', '.join(map(str, t.entries))}}};"
             for t in tables(step)]  # fmt: skip
    lines += [f"static int32_t {name}(const int32_t *a)", "{", "(void)a;", *made.lines]
    total = " + ".join(f"{WEIGHTS[n]}u * (uint32_t){text}" for n, text in made.results.items())
    return "\n".join([*lines, f"return (int32_t)({total});", "}"])


def run(functions: dict[str, str], data: dict[str, np.ndarray], folder: Path) -> dict[str, Any]:
    """What compiled C makes of the rows of every function."""
    parts = ["#include <stdint.h>", "#include <stdio.h>", *functions.values(), "int main(void) {"]
    parts += ["int32_t a[16], r;", "size_t k;"]
    for name, rows in data.items():
        parts.append(f"for (k = 0; k < {len(rows)}; k++) {{ "
                     f"if (fread(a, 4, {rows.shape[1]}, stdin) != {rows.shape[1]}) return 2; "
                     f"r = {name}(a); fwrite(&r, 4, 1, stdout); }}")  # fmt: skip
    (folder / "a.c").write_text("\n".join([*parts, "return 0; }", ""]))
    subprocess.run(["cc", *FLAGS, "-o", folder / "a", folder / "a.c"], check=True)
    given = b"".join(rows.astype("<i4").tobytes() for rows in data.values())
    out = np.frombuffer(subprocess.run([folder / "a"], input=given, check=True,
                                       capture_output=True).stdout, "<i4")  # fmt: skip
    ends = np.cumsum([0, *(len(rows) for rows in data.values())])
    return {name: out[ends[k] : ends[k + 1]] for k, name in enumerate(data)}


def test_every_operation_is_its_definition(tmp_path: Path) -> None:
    functions, data, expected = {}, {}, {}
    for seed, name in enumerate(EDGES):
        own = model(name)
        args = numbers(name, seed)
        values = {f"a{k}": arg for k, arg in enumerate(args)}
        neurons = Neurons(own, ROWS, "int32", values)
        step = traced(neurons)
        fine = fine_parameters(step)
        fields = ["v", *(f.name for f in own.parameters), "x"]
        stored = [arg - 2**32 * (f"a{k}" in fine) for k, arg in enumerate(args)]
        functions[f"f_{name}"] = function(f"f_{name}", step, fields)
        zero = np.zeros(ROWS, dtype=np.int64)
        data[f"f_{name}"] = np.stack([zero, *stored, zero], axis=1)
        definition = Definition(neurons, 1)
        definition(np.zeros((1, ROWS), dtype=np.int64))
        expected[f"f_{name}"] = definition.state["v"][0]
    found = run(functions, data, tmp_path)
    for name, wanted in expected.items():
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)


def test_every_integer_operation_has_c_and_a_test() -> None:
    logical = {"and", "or", "not"}
    assert {name for name, row in OPS.items() if "c" in row.text} <= {*EDGES, *logical}
    assert {*EDGES, *logical} <= {name for name, row in OPS.items() if "c" in row.text}
    assert set(CONSTANTS) <= set(EDGES)


OPTIONS = [
    {"reset": reset, "reset_time": time, "compare": compare, "current": current, "refractory": rest}
    for reset, time in (("set", "now"), ("subtract", "now"), ("subtract", "next"),
                        ("subtract", "recheck"), ("none", "now"))
    for compare in ("gt", "ge")
    for current in (False, True)
    for rest in ((False, True) if time == "now" else (False,))
]  # fmt: skip


def test_the_lif_family_is_its_definition(tmp_path: Path) -> None:
    """One step from random states, of every combination of choices."""
    rng = np.random.default_rng(0)
    ranges = {"alpha": (0, 65537), "beta": (0, 65537), "bias": (-99, 99), "leak": (-9, 9),
              "threshold": (1, 9000), "v_reset": (-50, 50)}  # fmt: skip
    functions, data, expected = {}, {}, {}
    for k, options in enumerate(OPTIONS):
        values: dict[str, Any] = {n: rng.integers(*r, ROWS) for n, r in ranges.items()}
        values |= {"shift": 3, "pause": 4, "current_max": 20_000, "state_max": 30_000}
        states = {"v": rng.integers(-9999, 9999, ROWS), "i": rng.integers(-9999, 9999, ROWS),
                  "wait": rng.integers(0, 3, ROWS)}  # fmt: skip
        x = rng.integers(-500, 500, ROWS)
        neurons = Neurons(CUBA_LIF, ROWS, "int32", values, options, states)
        step = traced(neurons)
        fields = [*states, *ranges, "pause", "x"]
        functions[f"f{k}"] = function(f"f{k}", step, fields)
        columns = [*states.values(), *(values[n] for n in ranges), np.full(ROWS, 4), x]
        data[f"f{k}"] = np.stack(columns, axis=1)
        definition = Definition(neurons, 1)
        sent = definition(x[None])
        results = {f"state {n}": definition.state[n][0] for n in step.of("state")}
        results["sent"] = np.asarray(sent)[0].astype(np.int64)
        total = sum(WEIGHTS[n] * value for n, value in results.items())
        expected[f"f{k}"] = np.asarray(total).astype(np.uint32).view(np.int32)
    found = run(functions, data, tmp_path)
    for name, wanted in expected.items():
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
