"""Lava's bit-accurate models, with what the runs here add: recording, and samples in a row.

Only for the process that runs Lava. The arithmetic is Lava's; added are a decay and a
threshold per neuron, the refractory period, reset by subtraction and delays of spikes, which
its fixed-point LIF does not have.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np


def define() -> SimpleNamespace:
    """The classes; Lava has to be imported already (`lava_worker.load_lava`)."""
    from lava.proc.dense.models import PyDenseModelBitAcc
    from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
    from lava.proc.sdn.models import PySigmaDeltaModelFixed
    from lava.proc.sparse.models import PySparseModelBitAcc

    chip_lif, chip_model = _chip_lif()
    delay, delay_model = _spike_delay()
    states = ("u", "v")
    sigma_delta = ("sigma", "act", "residue", "error")
    return SimpleNamespace(
        ChipLIF=chip_lif,
        SpikeDelay=delay,
        programmed=programmed,
        lif=_recorded(PyLifModelBitAcc, states, states),
        lif_reset=_recorded(_firing(PyLifResetModelBitAcc), states, states),
        chip_lif=_recorded(chip_model, (*states, "wait"), (*states, "wait")),
        sigma_delta=_recorded(_sending(PySigmaDeltaModelFixed), sigma_delta, ("act",)),
        dense=_recorded(PyDenseModelBitAcc, ("a_buff",), None),
        sparse=_recorded(PySparseModelBitAcc, ("a_buff",), None),
        delay=_recorded(delay_model, ("buffer",), None),
    )


def programmed(options: dict[str, Any]) -> tuple[Any, Any]:
    """(process, recording model) of the text in a job, which the caller made from a model."""
    from snnstack.backends.loihi.lava_text import MODEL, PROCESS, STATE

    made: dict[str, Any] = {"__name__": "snnstack_lava_population"}
    exec(compile(options.pop("text"), "<population>", "exec"), made)
    states = tuple(STATE.format(name) for name in options.pop("states"))
    return made[PROCESS](**options), _recorded(made[MODEL], states, states)


def _recorded(base: Any, reset: tuple[str, ...], kept: tuple[str, ...] | None) -> Any:
    """`base`, in its first state where a sample begins, and `kept` written out at the end.

    The process's parameter "run" says {"steps", "total", "file"}; steps are those of a sample,
    and so is the time that `base` sees.
    """

    class Recorded(base):  # type: ignore[misc]
        time_step: int

        def run_spk(self) -> None:
            run, now = self.proc_params["run"], self.time_step
            if "first" not in self.__dict__:
                self.__dict__["first"] = {name: getattr(self, name).copy() for name in reset}
            if (now - 1) % run["steps"] == 0:
                for name, value in self.__dict__["first"].items():
                    getattr(self, name)[...] = value
            self.time_step = (now - 1) % run["steps"] + 1
            super().run_spk()
            self.time_step = now
            if kept is not None:
                self.record(run)

        def record(self, run: dict[str, Any]) -> None:
            rows = self.__dict__.setdefault("rows", {name: [] for name in ("s", *kept)})  # type: ignore[misc]
            rows["s"].append(np.array(self.s_out_buff, dtype=np.int32))
            for name in kept or ():
                rows[name].append(getattr(self, name).copy())
            if self.time_step == run["total"]:
                arrays: Any = {name: np.array(values) for name, values in rows.items()}
                np.savez(run["file"], **arrays)

    Recorded.__name__ = f"Recorded{base.__name__}"
    return Recorded


def _sending(base: Any) -> Any:
    """A sigma-delta model that keeps what it sends, and new arrays of its state."""

    class Sending(base):  # type: ignore[misc]
        def dynamics(self, a_in_data: Any) -> Any:
            sent = super().dynamics(a_in_data)
            self.s_out_buff = np.right_shift(sent, self.state_exp)
            return sent

    return Sending


def _firing(base: Any) -> Any:
    """A LIF model that keeps what it sends, as the plain one does."""

    class Firing(base):  # type: ignore[misc]
        def spiking_activation(self) -> Any:
            self.s_out_buff = super().spiking_activation()
            return self.s_out_buff

    return Firing


def _chip_lif() -> tuple[Any, Any]:
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.process.variable import Var
    from lava.proc.lif.models import PyLifModelBitAcc
    from lava.proc.lif.process import LIF

    class ChipLIF(LIF):  # type: ignore[misc]
        """LIF with every register per neuron, a refractory period and a choice of resets."""

        def __init__(
            self, *, refractory: int, subtract: bool, clearing: tuple[int, int], **options: Any
        ) -> None:
            super().__init__(**options)
            shape = options["shape"]
            self.du = Var(shape=shape, init=options["du"])
            self.dv = Var(shape=shape, init=options["dv"])
            self.vth = Var(shape=shape, init=options["vth"])
            self.wait = Var(shape=shape, init=0)
            self.proc_params["refractory"] = refractory
            self.proc_params["subtract"] = subtract
            self.proc_params["clearing"] = clearing

    class PyChipLif(PyLifModelBitAcc):  # type: ignore[misc]
        du: Any = LavaPyType(np.ndarray, np.int32)
        dv: Any = LavaPyType(np.ndarray, np.int32)
        vth: Any = LavaPyType(np.ndarray, np.int32)
        wait: Any = LavaPyType(np.ndarray, np.int32)

        def run_spk(self) -> None:
            interval, offset = self.proc_params["clearing"]
            if interval and self.time_step % interval == offset % interval:
                self.u[:], self.v[:], self.wait[:] = 0, 0, 0
            super().run_spk()

        def subthr_dynamics(self, activation_in: Any) -> None:
            held = self.v.copy()
            super().subthr_dynamics(activation_in)
            self.v[:] = np.where(self.wait > 1, held, self.v)

        def spiking_activation(self) -> Any:
            return super().spiking_activation() & (self.wait <= 1)

        def reset_voltage(self, spike_vector: Any) -> None:
            if self.proc_params["subtract"]:
                self.v[spike_vector] -= self.effective_vth[spike_vector]
            else:
                super().reset_voltage(spike_vector)
            self.wait[:] = np.maximum(self.wait - 1, 0)
            self.wait[spike_vector] = self.proc_params["refractory"]

    return ChipLIF, PyChipLif


def _spike_delay() -> tuple[Any, Any]:
    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.model.py.model import PyLoihiProcessModel
    from lava.magma.core.model.py.ports import PyInPort, PyOutPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.magma.core.process.ports.ports import InPort, OutPort
    from lava.magma.core.process.process import AbstractProcess
    from lava.magma.core.process.variable import Var
    from lava.magma.core.resources import CPU
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

    class SpikeDelay(AbstractProcess):  # type: ignore[misc]
        """Sends what it receives, `delay` steps later."""

        def __init__(self, *, n: int, delay: int) -> None:
            super().__init__()
            self.s_in = InPort(shape=(n,))
            self.s_out = OutPort(shape=(n,))
            self.buffer = Var(shape=(delay, n), init=0)

    @implements(proc=SpikeDelay, protocol=LoihiProtocol)
    @requires(CPU)
    @tag("fixed_pt")
    class PySpikeDelay(PyLoihiProcessModel):  # type: ignore[misc]
        s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
        s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
        buffer: Any = LavaPyType(np.ndarray, np.int32)

        def run_spk(self) -> None:
            place = (self.time_step - 1) % len(self.buffer)
            self.s_out.send(self.buffer[place].copy())
            self.buffer[place] = self.s_in.recv()

    return SpikeDelay, PySpikeDelay
