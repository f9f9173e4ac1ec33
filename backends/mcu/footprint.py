"""The memory plan to the byte: the emitted self-test, compiled and linked for the board.

Weights, state and stack are known without a compiler; code is not. Where the board's compiler is
installed, the plan is that of the image which the emitted `CMakeLists.txt` builds.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.hardware import hardware
from snnstack.backends.mcu.program import Program
from snnstack.backends.mcu.run import board_sources, library_sources
from snnstack.backends.mcu.toolchain import Image, build, find
from snnstack.errors import TargetError, ToolError
from snnstack.files import write_directory


def measured(program: Program, toolchain: str | None = None) -> Program:
    """`program` with the memory that its self-test takes, `memory_basis` naming the compiler.

    Where the board's compiler is not installed, or has no room to work, the program is returned
    as it is: its code and with it "flash" are upper bounds then.
    """
    board = hardware(program.board)
    try:
        compiler = find(board, toolchain)
        with tempfile.TemporaryDirectory(prefix="snnstack-") as name:
            image = selftest_image(program, Path(name) / "firmware", toolchain)
    except (ToolError, TargetError, OSError):
        return program
    known = program.memory
    memory = {
        "flash": image.flash,
        "weights": known["weights"],
        "code": image.flash - known["weights"],
        "ram": image.ram + known["stack"],
        "state": known["state"],
        "stack": known["stack"],
    }
    return replace(program, memory=memory, memory_basis=compiler.version())


def selftest_image(program: Program, folder: Path, toolchain: str | None = None) -> Image:
    """The self-test as the emitted CMake project links it for the board, in the same order."""
    board = hardware(program.board)
    write_directory(emit(program), folder)
    start, memory = board_sources(board)
    library, weights = library_sources(program)
    main = () if program.golden is None else ("test/selftest.c",)
    sources = [*main, memory, start, library, weights]
    return build(find(board, toolchain), folder, sources, "board/link.ld", "selftest.elf")
