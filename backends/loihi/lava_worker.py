"""Runs jobs in Lava, in a process of its own: job files in, results out.

Started by `snnstack.backends.loihi.lava` as `python -m snnstack.backends.loihi.lava_worker`.
An exception inside a Lava process leaves the runtime hanging; the starter ends the whole
process group when its time limit passes.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

Job = dict[str, Any]


def main(folder: Path) -> int:
    """Run every `job<i>.json` in `folder`; write `result<i>.npz`, or `error.txt`."""
    try:
        load_lava()
        for path in sorted(folder.glob("job*.json")):
            job = json.loads(path.read_text())
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
                results = run(job, dict(arrays), folder)
            number = path.stem.removeprefix("job")
            np.savez(folder / f"part{number}.npz", **results)
            (folder / f"part{number}.npz").rename(folder / f"result{number}.npz")
        return 0
    except Exception:
        (folder / "error.part").write_text(traceback.format_exc())
        (folder / "error.part").rename(folder / "error.txt")
        return 1


def run(job: Job, arrays: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The job in the way that it asks for: its "way" is runtime, models or own."""
    if job["way"] == "own":
        from snnstack.backends.loihi.lava_board import find_board, run_board

        find_board(job["address"])
        return run_board(job, arrays)
    return (run_runtime if job["way"] == "runtime" else run_models)(job, arrays, folder)


def load_lava() -> None:
    """Import Lava, mending its one fault under Python 3.11.

    `lava.magma.compiler.var_model` uses instances of its dataclass `ByteEncoder` as defaults
    of other dataclasses; Python 3.11 refuses defaults that cannot be hashed. While that module
    is imported, the dataclass of this name gets a hash.
    """
    import dataclasses

    original: Any = dataclasses.dataclass

    def patched(cls: Any = None, /, **options: Any) -> Any:
        if cls is not None and cls.__name__ == "ByteEncoder":
            return original(cls, unsafe_hash=True, **options)
        return original(cls, **options)

    setattr(dataclasses, "dataclass", patched)  # noqa: B010
    try:
        importlib.import_module("lava.magma.compiler.var_model")
    finally:
        setattr(dataclasses, "dataclass", original)  # noqa: B010


def run_runtime(job: Job, arrays: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The process network in Lava's runtime: {"<population>/<s|v|u>": [batch, steps, n]}."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.proc.io.source import RingBuffer

    from snnstack.backends.loihi.lava_models import define

    data = arrays["input"]
    batch, steps, n = data.shape
    run = {"steps": steps, "total": batch * steps}
    source = RingBuffer(data=np.ascontiguousarray(data.reshape(batch * steps, n).T))
    network = _Network(define(), job, arrays, run, folder)
    network.connect(source.s_out)
    source.run(condition=RunSteps(num_steps=batch * steps), run_cfg=network.configuration())
    source.stop()
    found = {}
    for name in network.neurons:
        with np.load(states_file(folder, job, name), allow_pickle=False) as states:
            for key in states:
                found[f"{name}/{key}"] = states[key].reshape(batch, steps, -1)
    return found


def states_file(folder: Path, job: Job, population: str) -> Path:
    """Where a population's states are written: by number, for a name can be any text."""
    number = [p["name"] for p in job["populations"]].index(population)
    return folder / f"states{number:05d}.npz"


class _Network:
    """The processes of a job, and which model each of them runs."""

    def __init__(
        self, kinds: Any, job: Job, arrays: dict[str, Any], run: Job, folder: Path
    ) -> None:
        self.kinds, self.job, self.arrays, self.run, self.folder = kinds, job, arrays, run, folder
        self.models: dict[Any, Any] = {}
        self.neurons = {p["name"]: self._neurons(p) for p in job["populations"]}

    def configuration(self) -> Any:
        """Every process is mapped by hand: the models record, and Lava searches nothing."""
        from lava.magma.core.run_configs import Loihi1SimCfg, Loihi2SimCfg

        kind = Loihi1SimCfg if self.job["generation"] == 1 else Loihi2SimCfg
        return kind(select_tag="fixed_pt", exception_proc_model_map=self.models)

    def connect(self, source: Any) -> None:
        """Join the processes; each connection adds one step, as on the chip."""
        sends = {name: process.s_out for name, process in self.neurons.items()}
        sends[self.job["input"]] = source
        for c in self.job["connections"]:
            port = sends[c["source"]]
            if c["delay"]:
                late = self.kinds.SpikeDelay(n=port.shape[0], delay=c["delay"])
                self._model(late, self.kinds.delay)
                port.connect(late.s_in)
                port = late.s_out
            synapses = self._synapses(c)
            port.connect(synapses.s_in)
            synapses.a_out.connect(getattr(self.neurons[c["target"]], c["port"]))

    def _neurons(self, p: Job) -> Any:
        process, model = make_neurons(self.kinds, p, self.arrays)
        return self._model(process, model, file=str(states_file(self.folder, self.job, p["name"])))

    def _synapses(self, c: Job) -> Any:
        process, model = make_synapses(self.kinds, c, self.arrays)
        return self._model(process, model)

    def _model(self, process: Any, model: Any, **more: Any) -> Any:
        process.proc_params["run"] = {**self.run, **more}
        self.models[process] = model
        return process


def make_neurons(kinds: Any, p: Job, arrays: dict[str, Any]) -> tuple[Any, Any]:
    """(process, model class) of a population of the job."""
    from lava.proc.lif.process import LIF, LIFReset
    from lava.proc.sdn.process import ActivationMode, SigmaDelta

    own = {key: arrays[f"{p['name']}/{key}"] for key in p["arrays"]}
    options = {"shape": (p["n"],), **own, **p["options"]}
    if p["kind"] == "sigma_delta":
        mode = ActivationMode[options.pop("activation")]
        return SigmaDelta(act_mode=mode, **options), kinds.sigma_delta
    if p["kind"] == "programmed":
        made: tuple[Any, Any] = kinds.programmed(options)
        return made
    if p["kind"] == "lif":
        return LIF(**options), kinds.lif
    if p["kind"] == "lif_reset":
        return LIFReset(**options), kinds.lif_reset
    return kinds.ChipLIF(**options), kinds.chip_lif


def make_synapses(kinds: Any, c: Job, arrays: dict[str, Any]) -> tuple[Any, Any]:
    """(process, model class) of a connection of the job."""
    from lava.proc.dense.process import Dense
    from lava.proc.sparse.process import Sparse
    from lava.utils.weightutils import SignMode
    from scipy.sparse import csr_matrix

    key = c["key"]
    options = {
        "weight_exp": c["exponent"],
        "num_weight_bits": c["bits"],
        "num_message_bits": c["message_bits"],
        "sign_mode": SignMode[c["signs"].upper()],
    }
    if f"{key}/dense" in arrays:
        return Dense(weights=arrays[f"{key}/dense"], **options), kinds.dense
    parts = tuple(arrays[f"{key}/{part}"] for part in ("data", "indices", "indptr"))
    return Sparse(weights=csr_matrix(parts, shape=c["shape"]), **options), kinds.sparse


def run_models(job: Job, arrays: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same models stepped one after the other here, without Lava's runtime."""
    from snnstack.backends.loihi.lava_models import define

    kinds = define()
    data = arrays["input"]
    batch, steps, _ = data.shape
    run = {"steps": steps, "total": -1, "file": ""}
    neurons = {
        p["name"]: instance(*make_neurons(kinds, p, arrays), run) for p in job["populations"]
    }
    synapses = [(c, instance(*make_synapses(kinds, c, arrays), run)) for c in job["connections"]]
    late = {c["key"]: np.zeros((c["delay"] + 1, m.weights.shape[1]), int) for c, m in synapses}
    for t in range(1, batch * steps + 1):
        if (t - 1) % steps == 0:
            for c, m in synapses:
                m.a_buff[...] = 0
                late[c["key"]][...] = 0
        for name, model in neurons.items():
            for port in model.arriving:
                ends = (name, port)
                into = [m.a_buff for c, m in synapses if (c["target"], c["port"]) == ends]
                getattr(model, port).value = sum(into, np.zeros(model.n, dtype=np.int64))
            model.time_step = t
            model.run_spk()
        for c, m in synapses:
            sent = neurons[c["source"]].s_out_buff if c["source"] in neurons else None
            line, d = late[c["key"]], c["delay"]
            line[t % (d + 1)] = data[(t - 1) // steps, (t - 1) % steps] if sent is None else sent
            m.s_in.value = line[(t - d) % (d + 1)]
            m.time_step = 0
            m.run_spk()
    return {
        f"{name}/{key}": np.array(rows).reshape(batch, steps, -1)
        for name, model in neurons.items()
        for key, rows in model.rows.items()
    }


class _Port:
    """Stands in for Lava's ports: receives what was put there, and sends nowhere."""

    value: Any = None

    @property
    def shape(self) -> Any:
        """Of what was put there."""
        return np.shape(self.value)

    def recv(self) -> Any:
        return self.value

    def send(self, value: Any) -> None:
        self.value = value


def instance(process: Any, kind: Any, run: Job) -> Any:
    """A model with the process's variables and stand-in ports."""
    process.proc_params["run"] = run
    model = kind(process.proc_params)
    types = {k: v for base in reversed(kind.__mro__) for k, v in vars(base).items()}
    for name in process.vars.member_names:
        var, declared = getattr(process, name), types[name]
        if hasattr(var.init, "tocsr"):
            model.__dict__[name] = var.init.astype(declared.d_type)
        else:
            value = np.broadcast_to(np.asarray(var.init), var.shape).astype(declared.d_type)
            model.__dict__[name] = value.copy()
    arriving = list(process.in_ports.member_names)
    for name in (*arriving, *process.out_ports.member_names):
        model.__dict__[name] = _Port()
    model.__dict__["arriving"] = arriving
    model.__dict__["n"] = getattr(process, arriving[0]).shape[0]
    return model


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # Lava's interpreter exit may hang
