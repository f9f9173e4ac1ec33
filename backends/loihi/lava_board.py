"""A job on Lava's own, unchanged processes: what a Loihi 2 board runs, and a CPU as well.

Only for the process that runs Lava. The processes are the same on both; the run configuration
chooses who executes them. On a board, spikes pass through Lava's adapters at both ends.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from snnstack.backends.loihi.lava_worker import Job, make_neurons, make_synapses

NO_MODELS = SimpleNamespace(lif=None, lif_reset=None, dense=None, sparse=None, sigma_delta=None)
"""Lava finds the models of its own processes by itself."""


def run_board(job: Job, arrays: dict[str, Any]) -> dict[str, Any]:
    """{"<population>/s": [batch, steps, n]} of every population that sends.

    Each sample gets a network of its own, so that all states begin at rest.
    """
    samples = [_run_sample(job, arrays, sample) for sample in arrays["input"]]
    return {name: np.stack([found[name] for found in samples]) for name in samples[0]}


def _run_sample(job: Job, arrays: dict[str, Any], sample: Any) -> dict[str, Any]:
    from lava.magma.core.run_conditions import RunSteps
    from lava.proc.io.source import RingBuffer

    steps = len(sample)
    source = RingBuffer(data=np.ascontiguousarray(sample.T))
    neurons = {p["name"]: make_neurons(NO_MODELS, p, arrays)[0] for p in job["populations"]}
    sends = {name: process.s_out for name, process in neurons.items()}
    sends[job["input"]] = _enter(job, source.s_out)
    for c in job["connections"]:
        synapses = make_synapses(NO_MODELS, c, arrays)[0]
        sends[c["source"]].connect(synapses.s_in)
        synapses.a_out.connect(neurons[c["target"]].a_in)
    sinks = {name: _leave(job, process.s_out, steps) for name, process in neurons.items()}
    source.run(condition=RunSteps(num_steps=steps), run_cfg=_configuration(job))
    found = {f"{name}/s": sink.data.get().T.copy() for name, sink in sinks.items()}
    source.stop()
    return found


def _configuration(job: Job) -> Any:
    from lava.magma.core import run_configs

    if job["board"]:
        return run_configs.Loihi2HwCfg()
    return run_configs.Loihi2SimCfg(select_tag="fixed_pt")


def _enter(job: Job, port: Any) -> Any:
    """The port from which the network takes its input."""
    if not job["board"]:
        return port
    from lava.proc.embedded_io.spike import PyToNxAdapter

    adapter = PyToNxAdapter(shape=port.shape)
    port.connect(adapter.inp)
    return adapter.out


def _leave(job: Job, port: Any, steps: int) -> Any:
    """A process that keeps what `port` sends in `steps` steps."""
    from lava.proc.io.sink import RingBuffer

    sink = RingBuffer(shape=port.shape, buffer=steps)
    if job["board"]:
        from lava.proc.embedded_io.spike import NxToPyAdapter

        adapter = NxToPyAdapter(shape=port.shape)
        port.connect(adapter.inp)
        port = adapter.out
    port.connect(sink.a_in)
    return sink


def find_board(address: str | None) -> None:
    """Tell Lava which host has the board; without an address it uses what it was set up with."""
    from lava.utils import loihi

    if address is not None:
        loihi.use_ethernet_host(address)
