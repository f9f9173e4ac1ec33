"""What the verbs of Python take: samples in every form, one board, programs that travel; and the
errors for everything else."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snnstack
from snnstack.errors import DataError, ModelError, SnnstackError, TargetError, ToolError
from snnstack.frontends.nir import to_nir, write
from snnstack.passes.options import Options
from snnstack.program import Program
from snnstack.trace import Spikes, Trace
from tests.cli.calls import small

BOARDS = ("microbit-v1", "oheo-gulch", "spinnaker2-chip", "neurram")
X = (np.random.default_rng(0).random((6, 10, 3)) < 0.4).astype(np.uint8)
Y = np.arange(6) % 4


@pytest.fixture(scope="module", params=BOARDS)
def program(request: pytest.FixtureRequest) -> Program:
    return snnstack.compile(small(), request.param, {"x": X})


@pytest.fixture(scope="module")
def mcu() -> Program:
    return snnstack.compile(small(), "microbit-v1")


@pytest.fixture(scope="module")
def right(mcu: Program) -> Trace:
    return snnstack.emulate(mcu, {"x": X})


def same(one: Trace, other: Trace) -> bool:
    return all(
        np.array_equal(one.spikes[name].dense(), other.spikes[name].dense()) for name in one.spikes
    )


class Loader:
    """Batches of (x, y), as a DataLoader gives them: no length, no index."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for start in (0, 4):
            yield X[start : start + 4], Y[start : start + 4]


class Numbered:
    """A data set: samples by number, without an end that is said by an IndexError."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, k: int) -> tuple[Any, int]:
        return X[k % len(X)], int(Y[k % len(X)])


FORMS: dict[str, Callable[[], Any]] = {
    "array": lambda: X,
    "booleans": lambda: X.astype(bool),
    "whole reals": lambda: X.astype(np.float32),
    "nested lists": lambda: X.tolist(),
    "list of samples": lambda: list(X),
    "tuple of samples": lambda: tuple(X),
    "(x, y)": lambda: (X, Y),
    "[x, y]": lambda: [X, Y],
    "(x, None)": lambda: (X, None),
    "(lists)": lambda: (X.tolist(), Y.tolist()),
    "list of (sample, label)": lambda: [(x, int(y)) for x, y in zip(X, Y, strict=True)],
    "batches": Loader,
    "data set": Numbered,
    "generator": lambda: ((X[k : k + 2], Y[k : k + 2]) for k in (0, 2, 4)),
    "batches by name": lambda: iter([{"x": X[:3], "y": Y[:3]}, {"x": X[3:], "y": Y[3:]}]),
    "spikes": lambda: Spikes.from_dense(X),
}


@pytest.mark.parametrize("form", FORMS)
def test_samples_are_taken_in_every_form(mcu: Program, right: Trace, form: str) -> None:
    assert same(snnstack.emulate(mcu, FORMS[form]()), right)
    fitted = snnstack.compile(small(), "microbit-v1", calibrate=FORMS[form]())
    assert same(
        snnstack.emulate(fitted, X),
        snnstack.emulate(snnstack.compile(small(), "microbit-v1", {"x": X}), X),
    )


def test_samples_of_files(mcu: Program, right: Trace, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    for data in (tmp_path / "data.npz", str(tmp_path / "data.npz"), np.load(tmp_path / "data.npz")):
        assert same(snnstack.emulate(mcu, data), right)


@pytest.mark.needs_torch
def test_samples_of_torch(mcu: Program, right: Trace) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    x, y = torch.tensor(X), torch.tensor(Y)
    whole = TensorDataset(x, y)
    forms = (x, x.float().requires_grad_(), x.to_sparse(), x.bfloat16(), (x, y), whole)
    for data in (*forms, DataLoader(whole, 4), DataLoader(TensorDataset(x), 4)):
        assert same(snnstack.emulate(mcu, data), right)


TAKEN = (
    '(give a file, an array [sample, step, ...], (x, y), {"x": ..., "y": ...}, Spikes, or an '
    "iterable of (x, y) such as a DataLoader)"
)
LENGTH = "(pad them with steps of zeros to one length)"
BAD: dict[str, tuple[Any, str]] = {
    "nothing": (None, f"data: is NoneType None {TAKEN}"),
    "a number": (3, f"data: is int 3 {TAKEN}"),
    "bytes": (b"x.npz", f"data: is bytes b'x.npz' {TAKEN}"),
    "no samples": ([], f"data: holds no samples {TAKEN}"),
    "ragged": ([X[0], X[1][:5]], f"data: x holds samples of 5 and 10 steps {LENGTH}"),
    "ragged by name": (
        {"x": [X[0], X[1][:5]]},
        f"data: x holds samples of 5 and 10 steps {LENGTH}",
    ),
    "ragged batches": (
        iter([(X[:2], Y[:2]), (X[2:, :5], Y[2:])]),
        f"data: has samples of the shapes [10, 3], [5, 3] {LENGTH}",
    ),
    "some labels": (
        iter([(X[:2], Y[:2]), (X[2:], None)]),
        f"data: has labels for 1 of 2 parts {TAKEN}",
    ),
    "text": (["a.npz", "b.npz"], f"data: is list ['a.npz', 'b.npz'] {TAKEN}"),
    "complex": (X.astype(complex), "data: x holds complex128, not numbers"),
    "objects": (X.astype(object), "data: x holds object, not numbers"),
    "a NUL": ("a\0b", "data: is 'a\\x00b' (a file name has no NUL in it)"),
    "masked": (
        np.ma.masked_equal(X, 1),
        "data: x has masked numbers (fill them: x.filled(0))",
    ),
    "a shape": (
        Spikes.from_dense(X[:, :, :2]),
        "data: has the shape [2], input 'in' needs [3]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_what_are_no_samples_is_named(mcu: Program, bad: str) -> None:
    data, message = BAD[bad]
    with pytest.raises(DataError) as error:
        snnstack.emulate(mcu, data)
    assert str(error.value) == message


def test_numbers_that_are_not_finite(mcu: Program) -> None:
    for value in (np.nan, np.inf, -1, 300, 0.5):
        with pytest.raises(DataError, match="x has 180 values outside the input type 'binary'"):
            snnstack.emulate(mcu, np.full(X.shape, value))


CALLS: dict[str, tuple[Callable[[Program], Any], str]] = {
    "board None": (
        lambda p: snnstack.compile(small(), None),  # type: ignore[arg-type]
        "board: is NoneType None (give the name of a file as text or Path)",
    ),
    "no boards": (
        lambda p: snnstack.bench(small(), [], X),
        "boards: none are given (`snnstack boards` lists all)",
    ),
    "model": (
        lambda p: snnstack.compile(3, "microbit-v1"),  # type: ignore[arg-type]
        "model: is int 3 (give a file (.nir, .onnx, .net), a Graph, a nir.NIRGraph, or a torch "
        "module and a sample)",
    ),
    "a directory": (
        lambda p: snnstack.write_nir(small(), "."),
        ".: it is a directory (name a file)",
    ),
    "empty name": (
        lambda p: snnstack.write_nir(small(), ""),
        "write_nir: is an empty file name (name a file)",
    ),
    "weight bits": (
        lambda p: snnstack.compile(small(), "microbit-v1", weight_bits=-1),
        "weight_bits: is -1 (a whole number, 1 or more)",
    ),
    "granularity": (
        lambda p: snnstack.compile(small(), "microbit-v1", granularity="x"),  # type: ignore[arg-type]
        "granularity: is 'x' (one of: neuron, population, import)",
    ),
    "quality": (
        lambda p: snnstack.compile(small(), "microbit-v1", quality="x"),  # type: ignore[arg-type]
        "quality: is 'x' (one of: fast, best)",
    ),
    "options": (
        lambda p: snnstack.load(small(), options={"dt": 1}),  # type: ignore[arg-type]
        "options: is dict {'dt': 1}, not a Options (snnstack.Options(dt=1e-3, reset='zero', ...))",
    ),
    "dt": (
        lambda p: snnstack.load(small(), Options(dt="1")),  # type: ignore[arg-type]
        "options.dt: is '1' (a number)",
    ),
    "samples": (
        lambda p: snnstack.verify(p, X, -1),
        "samples: is -1 (a whole number, 1 or more)",
    ),
    "half a sample": (
        lambda p: snnstack.bench(small(), "microbit-v1", X, samples=1.5),  # type: ignore[arg-type]
        "samples: is 1.5 (a whole number, 1 or more)",
    ),
    "verify samples": (
        lambda p: snnstack.bench(small(), "microbit-v1", X, verify_samples=-1),
        "verify_samples: is -1 (a whole number, 0 or more)",
    ),
    "period": (
        lambda p: snnstack.bench(small(), "microbit-v1", X, period_s=float("nan")),
        "period_s: is nan (seconds, above 0)",
    ),
    "seeds": (
        lambda p: snnstack.bench(small(), "neurram", X, seeds="x"),  # type: ignore[arg-type]
        "seeds: is 'x' (a whole number, 0 or more)",
    ),
    "ann": (
        lambda p: snnstack.bench(small(), "microbit-v1", X, ann="x"),  # type: ignore[arg-type]
        "ann: is str 'x', not a Ann (True, or Ann(train=..., ...))",
    ),
    "seed": (lambda p: snnstack.emulate(p, X, seed=-1), "seed: is -1 (a whole number, 0 or more)"),
    "probes": (
        lambda p: snnstack.emulate(p, X, probes="lif:v"),  # type: ignore[arg-type]
        'probes: is \'lif:v\' (give pairs such as [("fc1", "v")])',
    ),
    "program": (
        lambda p: snnstack.emulate("firmware", X),  # type: ignore[arg-type]
        "program: is str 'firmware' (give what snnstack.compile or open_program returns)",
    ),
    "a long name": (
        lambda p: snnstack.open_program("a" * 300),
        f"program: is '{'a' * 59}... of 300 characters (a file name has at most 255)",
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_wrong_kinds_and_values_are_named(mcu: Program, call: str) -> None:
    made, message = CALLS[call]
    with pytest.raises((TargetError, ModelError)) as error:
        made(mcu)
    assert str(error.value) == message


def test_one_board_is_one_board(tmp_path: Path) -> None:
    with pytest.raises(SnnstackError) as error:
        snnstack.bench(small(), "microbit", X)
    assert str(error.value).startswith("board microbit: there is no such board")
    write(small(), tmp_path / "small.nir")
    (row,) = snnstack.bench(tmp_path / "small.nir", "neurram", X, verify_samples=1)
    assert row.board == "neurram"


def test_a_graph_of_the_package_nir_is_a_model() -> None:
    made = snnstack.compile(to_nir(small()), "microbit-v1")
    own = snnstack.compile(small(), "microbit-v1")
    assert same(snnstack.emulate(made, X), snnstack.emulate(own, X))


def test_a_program_is_saved_without_its_float_side(program: Program, tmp_path: Path) -> None:
    snnstack.save(program, tmp_path / "out")
    opened, network = snnstack.open_program(tmp_path / "out")
    assert network is None
    assert same(snnstack.emulate(opened, X), snnstack.emulate(program, X))


def test_programs_graphs_and_traces_travel(program: Program) -> None:
    trace = snnstack.emulate(program, X)
    for made in (pickle.loads(pickle.dumps(program)), copy.deepcopy(program)):
        assert same(snnstack.emulate(made, X), trace)
    for copied in (pickle.loads(pickle.dumps(trace)), copy.deepcopy(trace)):
        assert same(copied, trace)
    graph = pickle.loads(pickle.dumps(small()))
    assert same(
        snnstack.emulate(snnstack.compile(graph, program.board, {"x": X}), X), trace
    )  # fmt: skip


def test_verify_without_the_processor_emulator_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = snnstack.compile(small(), "spinnaker2-chip")
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(ToolError) as error:
        snnstack.verify(made, X)
    assert str(error.value) == (
        "unicorn: is not installed: it executes the elements' code "
        "(pip install 'snnstack[spinnaker2]')"
    )


def test_rows_become_a_table() -> None:
    rows = snnstack.bench(small(), ["neurram"], X, verify_samples=1)
    (plain,) = [dataclasses.asdict(row) for row in rows]  # what pandas.DataFrame(rows) asks for
    assert plain["board"] == "neurram"
    assert pickle.loads(pickle.dumps(rows))[0].to_dict() == rows[0].to_dict()
