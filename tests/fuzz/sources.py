"""Whole files of every kind that is read, small and always the same."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import snnstack
from snnstack.frontends.nir import write
from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import IF, Cells, Conv2d, CubaLIF, Flatten, Input, Linear, Output
from tests.cli.calls import small

ROOT = Path(__file__).resolve().parents[2]
X = (np.random.default_rng(0).random((4, 6, 3)) < 0.4).astype(np.uint8)
Y = np.arange(4) % 4
IMAGES = np.random.default_rng(1).integers(0, 256, (4, 2, 3)).astype(np.uint8)


PAIRS = ((1, 1), (0, 0), (1, 1))
"""Stride, padding and dilation."""


def conv() -> Graph:
    """A convolution, a current-based layer with a loop, and a read-out."""
    rng = np.random.default_rng(0)
    shape = (2, 2, 2)
    one = np.ones(shape)
    tau = {"tau_syn": np.full(3, 5e-3), "tau_mem": np.full(3, 1e-2)}
    flat = {"r": np.ones(3), "v_leak": np.zeros(3), "v_threshold": np.ones(3)}
    nodes = {
        "in": Input((1, 4, 4), events="binary"),
        "conv": Conv2d((4, 4), rng.normal(0, 0.5, (2, 1, 3, 3)), *PAIRS, 1, np.zeros(2)),
        "if": IF(r=one, v_threshold=one, v_reset=0 * one),
        "flat": Flatten(shape, 0, -1),
        "fc": Linear(rng.normal(0, 0.5, (3, 8))),
        "cuba": CubaLIF(**tau, **flat, v_reset=np.zeros(3), w_in=np.ones(3)),
        "rec": Linear(rng.normal(0, 0.1, (3, 3))),
        "out": Output((3,)),
    }
    names = ["in", "conv", "if", "flat", "fc", "cuba", "out"]
    edges = [Edge(a, b) for a, b in pairwise(names)]
    return Graph(nodes, (*edges, Edge("cuba", "rec"), Edge("rec", "cuba")))


def nir_small(folder: Path) -> None:
    write(small(), folder / "a.nir")


def nir_conv(folder: Path) -> None:
    write(conv(), folder / "a.nir")


def netx(folder: Path) -> None:
    rng = np.random.default_rng(0)
    neuron = {"type": "CUBA", "iDecay": 4096, "vDecay": 415, "vThMant": 6, "refDelay": 1}
    with h5py.File(folder / "a.net", "w") as file:
        for k, (rows, columns) in enumerate([(5, 3), (4, 5)]):
            layer: dict[str, Any] = {"type": "dense", "shape": [rows]}
            layer["weight"] = rng.integers(-99, 99, (rows, columns)).astype(np.float32)
            layer |= {f"neuron/{key}": value for key, value in neuron.items()}
            for key, value in layer.items():
                text = isinstance(value, str)
                file[f"layer/{k}/{key}"] = np.array([value], dtype="S10") if text else value


def onnx_ann(folder: Path) -> None:
    from tests.onnx.ann_models import mlp

    rng = np.random.default_rng(0)
    mlp(
        folder / "a.onnx",
        [(rng.normal(0, 1, (3, 5)), np.ones(5)), (rng.normal(0, 1, (5, 4)), np.zeros(4))],
    )


def onnx_step(folder: Path) -> None:
    (folder / "a.onnx").write_bytes(snnstack.to_onnx(small()).SerializeToString())


def npz(folder: Path) -> None:
    np.savez(folder / "a.npz", x=X, y=Y)


def npz_packed(folder: Path) -> None:
    np.savez_compressed(folder / "a.npz", x=X.astype(np.float32), y=Y)


def trace(folder: Path) -> None:
    """What `emulate -o` wrote, with samples added: data beside arrays that are none."""
    from snnstack.frontends.trace_file import trace_file

    program = snnstack.compile(small(), "microbit-v1")
    with trace_file(folder / "a.npz") as keep:
        keep(snnstack.emulate(program, X))
    with np.load(folder / "a.npz") as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(folder / "a.npz", x=X, y=Y, **arrays)


def h5_data(folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"], file["y"] = X, Y


def h5_ragged(folder: Path) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(folder / "a.h5", "w") as file:
        for name, kind, top in (("times", "f2", 0.006), ("units", "i4", 3)):
            rows = file.create_dataset(f"spikes/{name}", (4,), h5py.vlen_dtype(kind))
            for k in range(4):
                rows[k] = np.sort(rng.random(5) * top).astype(kind)
        file["labels"] = Y


def h5_events(folder: Path) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(folder / "a.h5", "w") as file:
        for name, top in (("t", 6000), ("x", 3), ("y", 1), ("p", 2)):
            file[f"events/{name}"] = np.sort(rng.integers(0, top, 20))


def idx(folder: Path) -> None:
    (folder / "a-images-idx3-ubyte").write_bytes(_idx(IMAGES))
    (folder / "a-labels-idx1-ubyte").write_bytes(_idx(Y.astype(np.uint8)))


def idx_packed(folder: Path) -> None:
    images = gzip.compress(_idx(IMAGES), mtime=0)
    (folder / "a-images-idx3-ubyte.gz").write_bytes(images)


def _idx(values: Any) -> bytes:
    head = bytes([0, 0, 8, values.ndim])
    return head + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


def nmnist(folder: Path) -> None:
    rng = np.random.default_rng(0)
    events = rng.integers(0, 34, (20, 5)).astype(np.uint8)
    events[:, 2], events[:, 3] = events[:, 2] & 1, 0
    (folder / "a.bin").write_bytes(events.tobytes())


def aedat2(folder: Path) -> None:
    pairs = np.column_stack([np.arange(20) % 256, np.arange(20) * 100]).astype(">u4")
    head = b"#!AER-DAT2.0\r\n# chip: DVS128\r\n"
    (folder / "a.aedat").write_bytes(head + pairs.tobytes())


def aedat3(folder: Path) -> None:
    events = np.zeros((20, 2), dtype="<u4")
    events[:, 0], events[:, 1] = 1 | (np.arange(20) % 3) << 17, np.arange(20) * 100
    head = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 20, 20, 20)
    (folder / "a.aedat").write_bytes(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + head + events.tobytes())
    table = "class,startTime_usec,endTime_usec\n1,0,900\n2,900,2000\n"
    (folder / "a_labels.csv").write_text(table)


def aedat4(folder: Path) -> None:
    (folder / "a.aedat4").write_bytes((ROOT / "tests" / "data" / "tiny.aedat4").read_bytes())


def npy(folder: Path) -> None:
    kind = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i1")]
    events = np.zeros(20, dtype=kind)
    events["x"], events["t"] = np.arange(20) % 3, np.arange(20) * 100
    np.save(folder / "a.npy", events)


def board(folder: Path, name: str = "nucleo-l4r5zi") -> None:
    (folder / f"{name}.toml").write_bytes((ROOT / "boards" / f"{name}.toml").read_bytes())


def crossbar_board(folder: Path) -> None:
    board(folder, "neurram")


def device(folder: Path) -> None:
    source = sorted((ROOT / "backends" / "crossbar" / "devices").glob("*.toml"))[0]
    (folder / source.name).write_bytes(source.read_bytes())
    text = (ROOT / "boards" / "neurram.toml").read_text()
    (folder / "neurram.toml").write_text(text)


def sweep(folder: Path) -> None:
    nir_small(folder)
    npz(folder)
    (folder / "s.toml").write_text(
        'model = "a.nir"\ndata = "a.npz"\nsamples = 2\nverify_samples = 0\n[grid]\n'
        'board = ["neurram", "oheo-gulch"]\nthreshold = [0.5, 1.0]\nseed = [0, 1]\n'
        "weight_bits = 4\ncapacity.rows = [64]\n"
    )


def journal(folder: Path) -> None:
    lines = [
        {"key": f"{k}" * 8, "point": {"board": "neurram"}, "row": {"status": "ok", "n": k}}
        for k in range(3)
    ]
    (folder / "points.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def rows(folder: Path) -> None:
    found = snnstack.bench(small(), ["neurram"], (X, Y), verify_samples=1, ann=False)
    (folder / "rows.json").write_text(json.dumps([row.to_dict() for row in found], default=_plain))


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value.tolist()


def opponent(folder: Path) -> None:
    from snnstack.frontends.opponent_file import weights_file

    (folder / "a.npz").write_bytes(weights_file(opponent_net(), 3, "something"))


def opponent_net() -> Any:
    """The network without spikes that weights are read for."""
    from snnstack.loading import discretised
    from snnstack.quant.opponent import opponent_of

    steps = discretised(snnstack.load(small()))
    return opponent_of(steps)


def own_neurons() -> Graph:
    """Neurons of other models than LIF: one sends spikes, one values."""
    from snnstack.dynamics.library import MODELS

    rng = np.random.default_rng(5)
    numbers = {"alpha": 0.9, "threshold": 1.0, "rho": 0.8, "jump": np.array([0.1, 0.2, 0.3, 0.4])}
    nodes: dict[str, Any] = {
        "in": Input((3,)),
        "w": Linear(rng.normal(0.5, 0.5, (4, 3))),
        "h": Cells((4,), MODELS["adaptive_lif"], numbers),
        "u": Linear(rng.normal(0.3, 0.5, (3, 4))),
        "tanh": Cells(
            (3,), MODELS["leaky_unit"], {"keep": 0.5, "gain": 1.0, "slope": 1.0, "bias": 0.1},
            {"activation": "tanh"},
        ),
        "out": Output((3,)),
    }  # fmt: skip
    edges = tuple(Edge(*pair) for pair in pairwise(nodes))
    return Graph(nodes, edges, dt=1e-3, integrator="euler")


def program(board_name: str, graph: Graph | None = None) -> Callable[[Path], None]:
    """A saved program of `graph`."""

    def made(folder: Path) -> None:
        net = snnstack.load(graph or small(), snnstack.Options(dt=1e-3))
        (port,) = net.inputs().values()
        x = (np.random.default_rng(0).random((4, 6, *port.shape)) < 0.4).astype(np.uint8)
        snnstack.save(snnstack.build(net, board_name, (x, Y % 3)), folder / "program")

    return made


def simple(folder: Path) -> None:
    """The network itself as a program, of a target without a form of its own."""
    from snnstack.simple import NetworkProgram, emit

    built = snnstack.build(small(), "microbit-v1", (X, Y))
    for name, content in emit(NetworkProgram(built.network, built.program.board)).items():
        (folder / name).write_bytes(content)


CONFIG = {"model": "f" * 64, "epochs": 3, "lr": 0.1}


def checkpoint(folder: Path) -> None:
    """A training after an epoch."""
    from snnstack.training.checkpoint import Checkpoint, State

    arrays = {"fc/weight": np.ones((3, 4), np.float32), "order": np.arange(5)}
    Checkpoint(folder / "a.npz").write(State(1, arrays, {"loss": [0.5]}), CONFIG)


def for_commands(folder: Path) -> None:
    """A model, samples and a program."""
    nir_small(folder)
    npz(folder)
    rows(folder)
    program("neurram")(folder)
