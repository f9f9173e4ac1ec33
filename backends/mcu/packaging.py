"""What makes the emitted folder a Zephyr module, an Arduino and a PlatformIO library as well.

Sources of the formats: Zephyr scripts/zephyr_module.py (schema of module.yml), the Arduino
library specification 1.5 rev. 2.2, PlatformIO's library.json. Arduino puts only `src/` on the
include path, so `src/` has one-line headers that lead to those in `include/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from snnstack.backends.mcu.emit import environment
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.hardware_types import McuHardware
from snnstack.backends.mcu.program import Program
from snnstack.foreign_text import comment, identifiers
from snnstack.program import digest

VERSION = "1.0.0"
"""Of every emitted library; Arduino and PlatformIO want a semantic version."""
HOME = "https://pypi.org/project/snnstack/"
SHOWN_STEPS = 8
"""Steps of the golden run that the README prints."""


def package_files(program: Program, project: Mapping[str, bytes]) -> dict[str, bytes]:
    """{path: content} to add to the files of `emit`, the same bytes for the same program."""
    context = _context(program, hardware(program.board), project)
    net = program.c_name
    templates = {
        "README.md": "package_readme.md.j2",
        "library.properties": "package_library.properties.j2",
        "zephyr/module.yml": "package_module.yml.j2",
        "zephyr/CMakeLists.txt": "package_zephyr.cmake.j2",
        "zephyr/Kconfig": "package_kconfig.j2",
        f"include/{net}_profile.h": "package_profile.h.j2",
        f"include/{net}_link.h": "package_link.h.j2",
        "examples/Stream/Stream.ino": "package_stream.ino.j2",
        "examples/Device/Device.ino": "package_device.ino.j2",
    }
    text = {
        path: environment().get_template(name).render(context) for path, name in templates.items()
    }
    for header in (net, f"{net}_profile", f"{net}_link"):
        forward = environment().get_template("package_forward.h.j2")
        text[f"src/{header}.h"] = forward.render(context | {"header": header})
    text["library.json"] = json.dumps(_library(context), indent=2) + "\n"
    return {path: content.encode() for path, content in text.items()}


def program_id(project: Mapping[str, bytes]) -> int:
    """32 bits that say which program a board runs: from the files of `emit` alone."""
    return int(digest(project)[:8], 16)


def _context(program: Program, board: McuHardware, project: Mapping[str, bytes]) -> dict[str, Any]:
    ids = identifiers(["input", *(layer.name for layer in program.layers)])[1:]
    layers = [
        {"name": layer.name, "ID": id_.upper(), "n": layer.n, "fires": layer.fires}
        for layer, id_ in zip(program.layers, ids, strict=True)
    ]
    output = next(x for x in layers if x["name"] == program.outputs[0])
    return {
        "net": program.c_name,
        "NET": program.c_name.upper(),
        "version": VERSION,
        "home": HOME,
        "board": comment(program.board.name),
        "board_title": program.board.title,
        "riscv": board.is_riscv,
        "dt": f"{program.dt:g}",
        "shape": list(program.input.shape),
        "order": "channel last" if program.input.order == "hwc" else "C order",
        "max_count": program.input.max_count,
        "valued": program.input.values,
        "input_type": program.input_type,
        "valued_layers": any(layer.payload for layer in program.layers),
        "layers": layers,
        "most_states": max(len(layer.variables) for layer in program.layers),
        "output": output,
        "memory": dict(program.memory),
        "id": f"0x{program_id(project):08x}",
        "golden": _golden(program),
    }


def _golden(program: Program) -> dict[str, Any] | None:
    """The recorded run as the README shows it."""
    golden = program.golden
    if golden is None:
        return None
    rows = [
        {
            "step": t,
            "events": len(golden.events[t]),
            "spikes": [int(n) for n in golden.spikes[t]],
            "checksum": f"0x{int(golden.checksum[t]):08x}",
        }
        for t in range(len(golden.events))
    ]
    kept = rows if len(rows) <= SHOWN_STEPS + 1 else [*rows[:SHOWN_STEPS], rows[-1]]
    totals = [int(n) for n in golden.spikes.sum(axis=0)]
    return {"steps": len(rows), "rows": kept, "totals": totals}


def _library(context: Mapping[str, Any]) -> dict[str, Any]:
    """PlatformIO's library.json."""
    net = context["net"]
    return {
        "$schema": "https://raw.githubusercontent.com/platformio/platformio-core/develop/"
        "platformio/assets/schema/library.json",
        "name": f"snn_{net}",
        "version": VERSION,
        "description": f"Spiking network {net} as C99, made by snnstack for {context['board']}",
        "keywords": ["spiking neural network", "inference"],
        "homepage": HOME,
        "authors": [{"name": "snnstack", "maintainer": True}],
        "headers": [f"{net}.h"],
        "frameworks": "*",
        "platforms": "*",
        "build": {"includeDir": "include", "srcDir": "src", "flags": ["-O3"]},
        "examples": [
            {"name": name, "base": f"examples/{name}", "files": [f"{name}.ino"]}
            for name in ("Stream", "Device")
        ],
        "export": {"exclude": ["board", "qemu", "program.*", "network.*"]},
    }
