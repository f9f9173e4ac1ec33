"""LLVM's assembly into machine code of this processor, in some milliseconds, once a structure."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

from llvmlite import binding

_ONE_AT_A_TIME = Lock()
_KEPT: list[Any] = []


def address(assembly: str) -> int:
    """The address of the function `update`; it stays valid as long as the process lives."""
    with _ONE_AT_A_TIME:
        return _compiled(assembly)


@cache
def _compiled(assembly: str) -> int:
    machine = _machine()
    module = binding.parse_assembly(assembly)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    engine = binding.create_mcjit_compiler(module, _machine())
    engine.finalize_object()
    _KEPT.append(engine)  # frees the code when it goes
    return int(engine.get_function_address("update"))


def _machine() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3, jit=True
    )
