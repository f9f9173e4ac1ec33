"""From a program to a C99 project: `{path: content}`, the same bytes for the same program."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from snnstack.backends.mcu.door import counter_bits, safe_events
from snnstack.backends.mcu.full import dot_form
from snnstack.backends.mcu.hardware import data_region, hardware, memory_bytes
from snnstack.backends.mcu.hardware_types import McuHardware
from snnstack.backends.mcu.layer_text import layer_view
from snnstack.backends.mcu.layout import CHUNK, Layout, PartPlan, plan
from snnstack.backends.mcu.pack import BLOCK_ROWS
from snnstack.backends.mcu.program import ConvTable, Program
from snnstack.backends.mcu.qemu import CODE, machine
from snnstack.backends.mcu.route_plan import Constant
from snnstack.backends.mcu.route_text import kinds, listed_bits, ring_slot, route_strides
from snnstack.foreign_text import comment
from snnstack.ir.nodes import Array
from snnstack.program import digest
from snnstack.templates import environment as code_environment

if TYPE_CHECKING:
    from jinja2 import Environment

_DIGEST = "<digest>"
CHECK = "CHECK"
"""The macro SNN_CHECK is the user's: it is not renamed."""
_COMPILERS = {True: "riscv64-unknown-elf-gcc", False: "arm-none-eabi-gcc"}


def emit(program: Program) -> dict[str, bytes]:
    """All files of the C99 project, except the manifest.

    Depends on nothing but the program and the version of this package: no time, no paths. The
    banner's digest is that of the files with the digest left out.
    """
    layout, board = plan(program), hardware(program.board)
    context = _context(layout, board)
    text = {
        path: environment().get_template(template).render(context | extra)
        for path, template, extra in _files(program, board)
    }
    for path in (f"src/{program.c_name}.c", f"src/{program.c_name}_kernels.h"):
        text[path] = _own_names(text[path], program.c_name)
    files = {path: content.encode() for path, content in text.items()}
    mark = digest(files)[:16].encode()
    return {path: content.replace(_DIGEST.encode(), mark) for path, content in files.items()}


def _own_names(text: str, net: str) -> str:
    """Kernels and their macros by names that no other network has.

    Each network has the kernels it needs, and two may stand in one translation unit.
    """
    text = re.sub(r"\bsnn_", f"snn_{net}_", text)
    return re.sub(rf"\bSNN_(?!{CHECK}\b)", f"SNN_{net.upper()}_", text)


def environment() -> Environment:
    """The templates of the firmware."""
    return code_environment("snnstack.backends.mcu")


def banner_line(program: Program, mark: str) -> str:
    """The first line of every file, without the signs of a comment; `mark` says which program."""
    made = f"made by snnstack {comment(_version())} for {comment(program.board.name)}"
    return f"{program.c_name}: {made}, {mark}. Do not edit."


def first_line(program: Program, files: Mapping[str, bytes]) -> str:
    """The banner of a project that was emitted, for files that are added to it."""
    line = files[f"include/{program.c_name}.h"].decode().splitlines()[0]
    return line.removeprefix("/* ").removesuffix(" */")


def startup_file(board: McuHardware) -> str:
    """The name of the start-up file in `board/`."""
    return "startup.S" if board.is_riscv else "startup.c"


def _files(program: Program, board: McuHardware) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """(path, template, what only this file needs)."""
    net = program.c_name
    yield f"include/{net}.h", "net.h.j2", {}
    yield f"src/{net}.c", "net.c.j2", {}
    yield f"src/{net}_weights.h", "weights.h.j2", {}
    yield f"src/{net}_weights.c", "weights.c.j2", {}
    yield f"src/{net}_kernels.h", "kernels.h.j2", {}
    yield "CMakeLists.txt", "CMakeLists.txt.j2", {}
    yield "toolchain.cmake", "toolchain.cmake.j2", {}
    startup = "startup_riscv.S.j2" if board.is_riscv else "startup_arm.c.j2"
    yield f"board/{startup_file(board)}", startup, {}
    yield "board/memory.c", "memory.c.j2", {}
    yield "board/link.ld", "link.ld.j2", {"memory": _board_memory(program, board)}
    yield "qemu/link.ld", "link.ld.j2", {"memory": _qemu_memory(program, board)}
    stand_in, memory = machine(board.qemu_machine), _qemu_memory(program, board)
    yield "qemu/host.c", "host.c.j2", {"memory": memory, "state": stand_in.window.state}
    yield "test/semihost.h", "semihost.h.j2", {}
    yield "test/timer.h", "timer.h.j2", {}
    yield "test/harness.c", "harness.c.j2", {}
    if program.golden is not None:
        yield "test/selftest.c", "selftest.c.j2", {}


def _context(layout: Layout, board: McuHardware) -> dict[str, Any]:
    program = layout.program
    views = [layer_view(layout, layer) for layer in layout.layers]
    names = [layer.name for layer in program.layers]
    output = views[names.index(program.outputs[0])]
    stand_in = machine(board.qemu_machine)
    return {
        "banner_line": banner_line(program, _DIGEST),
        "net": program.c_name,
        "NET": program.c_name.upper(),
        "dt": f"{program.dt:g}",
        "inputs": int(np.prod(program.input.shape)),
        "input_name": program.input.name,
        "input_shape": list(program.input.shape),
        "input_order": ", channel last" if program.input.order == "hwc" else "",
        "input_slots": layout.input_slots,
        "ring": layout.ring,
        "parts": [_part(part) for part in layout.parts],
        "valued": layout.valued,
        "input_type": program.input_type,
        "valued_layers": any(view["valued"] for view in views),
        "max_events": layout.input_capacity,
        "max_count": program.input.max_count,
        "counted": f"uint{layout.count_bits}_t" if layout.counted else None,
        "repeats": 0 if layout.counted else counter_bits(program),
        "safe_events": safe_events(program),
        "layers": views,
        "starts": any(view["starts"] for view in views),
        "most_states": max(len(view["states"]) for view in views),
        "output": output,
        "event_bits": layout.event_bits,
        "scratch_words": layout.scratch_bytes // 4,
        "chunk": CHUNK,
        "pools": layout.pools,
        "divides": layout.divides,
        "fine": layout.fine,
        "widths": sorted({layer.layer.accumulator_bits for layer in layout.layers}),
        "family": layout.family,
        "byte_output": layout.byte_output,
        "block_rows": BLOCK_ROWS,
        "dense_kinds": kinds(layout, "dense"),
        "sparse_kinds": kinds(layout, "sparse"),
        "conv_kinds": kinds(layout, "conv"),
        "dense_valued": kinds(layout, "dense", valued=True),
        "sparse_valued": kinds(layout, "sparse", valued=True),
        "conv_valued": kinds(layout, "conv", valued=True),
        "listed_bits": listed_bits(layout),
        "max_stride": route_strides(layout),
        "full": layout.full,
        "full_bits": sorted(
            {x.layer.accumulator_bits for x in layout.layers for r in x.routes if r.full}
        ),
        "full_maps": any(
            r.full and isinstance(r.table, ConvTable) for x in layout.layers for r in x.routes
        ),
        "kernel": dot_form(layout.family),
        "arrays": [_array(constant) for constant in layout.constants],
        "riscv": board.is_riscv,
        "machine": stand_in,
        "compiler": _COMPILERS[board.is_riscv],
        "gcc_arch": " ".join(board.gcc_arch),
        "startup": startup_file(board),
        "golden": _golden(program),
        "hex": "0x{:08x}".format,
        "qemu_command": " ".join(stand_in.argv("selftest.elf")),
    }


def _part(part: PartPlan) -> dict[str, Any]:
    """What the templates print about one of several inputs."""
    order = ", channel last" if part.order == "hwc" else ""
    return {
        "id": part.id,
        "ID": part.id.upper(),
        "title": f"{part.name} {list(part.shape)}{order}",
        "first": part.first,
        "end": part.first + part.n,
        "n": part.n,
        "slots": part.slots,
        "slot": ring_slot(part.id, part.slots, 0),
        "capacity": part.capacity,
    }


def _version() -> str:
    try:
        return metadata.version("snnstack")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _numbers(values: Array) -> str:
    suffix = "u" if values.dtype == np.uint32 else ""
    text = ", ".join(f"{x}{suffix}" for x in values.ravel().tolist()) or "0"
    return "\n".join(textwrap.wrap(text, 98, break_on_hyphens=False))


def _array(constant: Constant) -> dict[str, Any]:
    # INT32_MIN has no literal of its own in C; the limits of the arithmetic exclude it.
    return {
        "name": constant.name,
        "ctype": constant.ctype,
        "length": max(1, constant.values.size),
        "text": _numbers(constant.values),
    }


def _golden(program: Program) -> dict[str, Any] | None:
    golden = program.golden
    if golden is None:
        return None
    counts = np.array([len(events) for events in golden.events], dtype=np.int64)
    return {
        "steps": len(golden.events),
        "events": _numbers(np.concatenate([*golden.events, np.zeros(1, np.int64)])),
        "n_events": _numbers(counts),
        "spikes": _numbers(golden.spikes),
        "checksum": _numbers(golden.checksum.astype(np.uint32)),
    }


def _board_memory(program: Program, board: McuHardware) -> dict[str, Any]:
    flash, _ = memory_bytes(program.board)
    region = data_region(program.board, program.memory["ram"])
    return {
        "title": f"Memory of {comment(program.board.name)}: {comment(program.board.title)}",
        "flash_origin": board.flash_origin,
        "flash_bytes": flash,
        "ram_origin": region.origin,
        "ram_bytes": region.bytes,
        "boot_origin": None,
        "host_origin": None,
        "vectors": ".vectors",
        "stack_bytes": program.memory["stack"],
    }


def _qemu_memory(program: Program, board: McuHardware) -> dict[str, Any]:
    """Addresses of the QEMU machine; lengths of the board, unless the machine has less."""
    flash, _ = memory_bytes(program.board)
    ram = data_region(program.board, program.memory["ram"]).bytes
    stand_in = machine(board.qemu_machine)
    return {
        "title": f"QEMU: {stand_in.name} with the memory of {comment(program.board.name)}",
        "flash_origin": stand_in.code_origin,
        "flash_bytes": min(flash, stand_in.code_bytes),
        "ram_origin": stand_in.ram_origin,
        "ram_bytes": min(ram, stand_in.ram_bytes),
        "boot_origin": stand_in.boot_origin,
        "host_origin": stand_in.window.origin,
        "host_bytes": CODE,
        "vectors": ".vectors" if board.is_riscv else ".host_vectors",
        "stack_bytes": program.memory["stack"],
    }
