"""Names of other people in everything that is emitted: it compiles, and holds none of them raw."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import snnstack
from snnstack.backends.crossbar.netlists import netlists
from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.program import DenseTable, Program, Route
from snnstack.backends.mcu.run import build_qemu, selftest
from snnstack.backends.mcu.store import emit as emit_directory
from snnstack.errors import TargetError
from snnstack.files import write_directory
from snnstack.foreign_text import identifier
from snnstack.frontends.nir import write
from snnstack.report.page import page
from snnstack.target import backend
from tests.cli.calls import small
from tests.conftest import ROOT
from tests.firmware.firmware_model import layer, needs_gcc, port, program, weights
from tests.firmware.test_project import STRICT, with_golden
from tests.hostile import MODELS, NAMES, network
from tests.report.rows import bench_row

TARGETS = {
    "nucleo-l4r5zi": "mcu",
    "esp32-c3": "mcu",
    "oheo-gulch": "loihi",
    "spinnaker2-chip": "spinnaker2",
    "neurram": "crossbar",
}
DATA = (".json", ".npz")
"""Files that hold names as data: parsed, never executed."""
SPECIAL = {
    key: name.encode("utf-8", "surrogatepass")
    for key, name in NAMES.items()
    if re.search(r"[^A-Za-z0-9_ .,:+()=-]", name)
}


@pytest.fixture(scope="module", params=TARGETS)
def emitted(request: pytest.FixtureRequest) -> tuple[Any, dict[str, bytes]]:
    """(program, files) of a network all of whose names are hostile."""
    made = snnstack.compile(network(NAMES, NAMES["quotes"] + NAMES["newline"]), request.param)
    return made, backend(made.target).emit(made)


@pytest.fixture(scope="module")
def firmware() -> Program:
    made = snnstack.compile(network(NAMES, NAMES["comment end"]), "nucleo-l4r5zi")
    assert isinstance(made, Program)
    return made


def test_no_emitted_code_holds_a_name_raw(emitted: tuple[Any, dict[str, bytes]]) -> None:
    code = {name: text for name, text in emitted[1].items() if not name.endswith(DATA)}
    for path, text in code.items():
        assert text.isascii(), path
        plain = text.replace(b"\\x", b"")  # an escape begins with a backslash, as a name may end
        assert not [key for key, name in SPECIAL.items() if name in plain], path
        assert re.fullmatch(rb"[\x20-\x7e\n\t]*", text), path
        # A literal of a name has all of it.
        assert path.endswith(".py") or max(map(len, text.splitlines())) < 1000, path
    assert all(re.fullmatch(r"[A-Za-z0-9_./]+", path) for path in emitted[1])


def test_data_files_are_ascii_and_give_the_names_back(
    emitted: tuple[Any, dict[str, bytes]],
) -> None:
    made, files = emitted
    for path in (p for p in files if p.endswith(".json")):
        assert files[path].isascii() and json.loads(files[path]) is not None
    again = backend(made.target).load(files)
    assert set(NAMES.values()) - {"", *again.fires} <= {"input"}


def test_files_of_every_target_can_be_written(
    emitted: tuple[Any, dict[str, bytes]], tmp_path: Path
) -> None:
    write_directory(emitted[1], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_python_program_is_the_same_for_every_name() -> None:
    """Names are literals in it: nothing else of its syntax depends on them."""
    plain = {key: f"n{k}" for k, key in enumerate(k for k in NAMES if NAMES[k])}
    trees = []
    for names, title in ((NAMES, NAMES["quotes"]), (plain, "net")):
        made = snnstack.compile(network(names, title), "spinnaker2-chip")
        text = backend(made.target).emit(made)["py_spinnaker2/network.py"].decode()
        trees.append(ast.parse(text))
        compile(text, "network.py", "exec")
    found = {n.value for n in ast.walk(trees[0]) if isinstance(n, ast.Constant)}
    assert {name for name in NAMES.values() if name} - found <= {"input"}
    one, two = (Counter(type(node).__name__ for node in ast.walk(tree)) for tree in trees)
    assert one == two


def test_the_c_project_compiles_without_a_warning(firmware: Program, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    files, net = emit_directory(firmware), firmware.c_name
    write_directory(files, tmp_path / "p")
    headers = "".join(f'#include "{net}{end}.h"\n' for end in ("_link", "_profile", ""))
    (tmp_path / "p" / "use.c").write_text(f"{headers}int use;\n")
    for source in (f"src/{net}.c", f"src/{net}_weights.c", "use.c"):
        subprocess.run(
            [compiler, *STRICT, "-Wno-unused-function", "-fsyntax-only", "-Iinclude", "-Isrc",
             source], cwd=tmp_path / "p", check=True, timeout=60,
        )  # fmt: skip


@needs_gcc
@pytest.mark.needs_qemu
def test_the_firmware_of_hostile_names_runs(firmware: Program) -> None:
    assert selftest(firmware) == "self-test: passed\n"


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    "model", ["memory", "startup", "main", "test", "string", "selftest", "timer", "snn", "update"]
)
def test_a_model_file_of_any_name_becomes_firmware(model: str, tmp_path: Path) -> None:
    net = replace(named("init"), name=model)
    build_qemu(net, tmp_path / "firmware", "test/harness.c", "gcc")


@pytest.mark.parametrize("model", ["n", "golden", "run", "v", "i", "s", "events", "state", "input"])
def test_c_of_a_network_of_any_name_has_no_warning(model: str, tmp_path: Path) -> None:
    """Neither is a function of the network hidden by a variable, nor declared as one."""
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    net = replace(with_golden(named("init")), name=model)
    write_directory(emit(net), tmp_path / "p")
    for source in (f"src/{net.c_name}.c", "test/selftest.c", "test/harness.c"):
        subprocess.run(
            [compiler, *STRICT, "-DSNN_PROFILE_TIMER", "-fsyntax-only", "-Iinclude", "-Isrc",
             source], cwd=tmp_path / "p", check=True, timeout=60,
        )  # fmt: skip


def named(*names: str) -> Program:
    """A program whose layers have these names."""
    table = Route("in", 0, DenseTable(weights(6, 4)))
    layers = tuple(layer(name, (4,), table) for name in names)
    return program("nucleo-l4r5zi", layers, port((6,), name="in"))


def test_models_of_every_name_live_in_one_project(tmp_path: Path) -> None:
    """All of them by add_subdirectory, their headers in one file."""
    cmake = shutil.which("cmake") or pytest.skip("no cmake (apt-get install cmake)")
    if shutil.which("gcc") is None:
        pytest.skip("no host gcc (apt-get install gcc)")
    nets = [replace(named("init", "layer_x", "x_size"), name=name) for name in MODELS]
    for k, net in enumerate(nets):
        write_directory(emit(net), tmp_path / f"m{k}")
    folders = "\n".join(f"add_subdirectory(m{k})" for k in range(len(nets)))
    libraries = " ".join(net.c_name for net in nets)
    (tmp_path / "app.c").write_text(
        "".join(f'#include "{net.c_name}.h"\n' for net in nets)
        + "#include <string.h>\n#include <stdint.h>\n#include <errno.h>\n#include <math.h>\n"
        + "int main(void) { return 0; }\n"
    )
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(application C)\n"
        f"{folders}\nadd_executable(application app.c)\n"
        f"target_link_libraries(application {libraries})\n"
    )
    argv = ["-Wno-dev", "-Werror=dev", "-S", ".", "-B", "out"]
    subprocess.run([cmake, *argv], cwd=tmp_path, check=True, timeout=120, capture_output=True)
    done = subprocess.run(
        [cmake, "--build", "out"], cwd=tmp_path, timeout=300, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr[-3000:]


def test_a_program_of_someone_else_cannot_choose_its_c_name(tmp_path: Path) -> None:
    """What `load` gives may hold any name: the emitters make the identifier, not the compiler."""
    for name in NAMES.values():
        net = replace(named("out"), name=name)
        files = emit_directory(net)
        assert f"src/{identifier(name)}.c" in files
        assert all(re.fullmatch(r"[A-Za-z0-9_./]+", path) for path in files)


@pytest.mark.parametrize("name", ["comment end", "newline", "spice", "unicode"])
def test_a_netlist_has_its_title_and_then_the_circuit(name: str, tmp_path: Path) -> None:
    made = snnstack.compile(network({"a": "lif"}, NAMES[name]), "neurram")
    text = netlists(made, [0])["tile_0.cir"].decode()
    first, second, *_ = text.splitlines()
    assert first.startswith("* ") and second.startswith(".options")
    assert text.isascii() and text.splitlines().count(".control") == 1
    if shutil.which("ngspice"):
        (tmp_path / "a.cir").write_text(text)
        done = subprocess.run(
            ["ngspice", "-b", "a.cir"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert "i(vo0)" in done.stdout


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]


def renamed(value: Any, name: str) -> Any:
    """The row with `name` for every text that a model, a board or a file can choose."""
    own = {"board", "name", "title", "basis", "source", "scope", "of", "against", "label"}
    if isinstance(value, dict):
        return {
            k: name if k in own and isinstance(v, str) else renamed(v, name)
            for k, v in value.items()
        }
    return [renamed(v, name) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("key", ["html", "bidi", "terminal", "quotes", "f-string", "null"])
def test_a_page_has_no_tag_and_no_attribute_from_a_name(key: str) -> None:
    plain, hostile = Tags(), Tags()
    plain.feed(page([bench_row("board")]))
    text = page([renamed(bench_row("board"), f"{NAMES[key]} javascript:x")])
    hostile.feed(text)
    assert hostile.tags == plain.tags and hostile.attributes == plain.attributes
    assert "script" not in hostile.tags
    assert all(a.startswith(("#", "data:,", "https://")) for a in hostile.addresses)
    assert text.replace("\n", "").isprintable()


def test_the_terminal_shows_names_without_what_steers_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from snnstack.cli import main

    graph, name = small(), NAMES["terminal"] + NAMES["bidi"] + "\nerror: x"
    nodes = {name if key == "lif" else key: node for key, node in graph.nodes.items()}
    edges = tuple(
        replace(e, **{k: name if getattr(e, k) == "lif" else getattr(e, k)
                      for k in ("source", "target")}) for e in graph.edges
    )  # fmt: skip
    write(replace(graph, nodes=nodes, edges=edges), tmp_path / "m.nir")
    for words in (["info"], ["compile", "--board", "oheo-gulch", "-o", str(tmp_path / "out")]):
        with pytest.raises(SystemExit) as stop:
            main([words[0], str(tmp_path / "m.nir"), *words[1:]])
        found = capfd.readouterr()
        text = found.out + found.err
        assert stop.value.code == 0, text
        assert text.replace("\n", "").isprintable()
        assert "\\x1b[2J" in text and "\nerror" not in text


def board_file(folder: Path, old: str, new: str) -> Path:
    text = (ROOT / "boards" / "nucleo-l4r5zi.toml").read_text()
    assert old in text
    (folder / "nucleo-l4r5zi.toml").write_text(text.replace(old, new, 1))
    return folder / "nucleo-l4r5zi.toml"


FLAGS = '["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"]'


@pytest.mark.parametrize(
    ("key", "old", "new", "shown"),
    [
        ("gcc_arch", FLAGS, '["-wrapper", "/bin/sh,-c,true"]', "-wrapper"),
        ("gcc_arch", FLAGS, '["-mcpu=cortex-m4", "-B/tmp"]', "-B/tmp"),
        ("gcc_arch", FLAGS, '["-mcpu=cortex-m4 -wrapper x"]', "-mcpu=cortex-m4 -wrapper x"),
        ("gcc_arch", FLAGS, '["@/tmp/options"]', "@/tmp/options"),
        ("gcc_arch", FLAGS, '["-fplugin=/tmp/x.so"]', "-fplugin=/tmp/x.so"),
        ("gcc_arch", FLAGS, '["-specs=/tmp/x"]', "-specs=/tmp/x"),
        ("gcc_arch", FLAGS, '["-include", "/etc/passwd"]', "-include"),
        ("gcc_arch", FLAGS, '["-mfloat-abi=hard;true"]', "-mfloat-abi=hard;true"),
        ("gcc_arch", FLAGS, '["-mthumb\\n"]', "-mthumb\\n"),
        ("zig_target", '"thumb-freestanding-eabi"', '"-cflags"', "-cflags"),
        ("zig_cpu", '"cortex_m4"', '"$(id)"', "$(id)"),
        ("qemu_machine", '"mps2-an386"', '"virt,dumpdtb=/tmp/x"', "virt,dumpdtb=/tmp/x"),
        ("runners.target", '"stm32l4r5zitx"', '"--script=/tmp/x.py"', "--script=/tmp/x.py"),
        ("runners.config", '"board/st_nucleo_l4.cfg"', '"../../tmp/x.cfg"', "../../tmp/x.cfg"),
        ("runners.config", '"board/st_nucleo_l4.cfg"', '"/tmp/x.cfg"', "/tmp/x.cfg"),
        ("runners.config", '"board/st_nucleo_l4.cfg"', '"x; shutdown"', "x; shutdown"),
    ],
)
def test_a_board_gives_no_tool_what_is_not_listed(
    key: str, old: str, new: str, shown: str, tmp_path: Path
) -> None:
    with pytest.raises(TargetError) as caught:
        snnstack.compile(small(), str(board_file(tmp_path, old, new)))
    start = f"board nucleo-l4r5zi: hardware.{key} = '{shown}' is not allowed on a command line ("
    assert str(caught.value).startswith(start)


def test_a_board_inside_a_program_is_held_to_the_same() -> None:
    net = named("out")
    raw = msgspec.to_builtins(net.board)
    raw["hardware"]["gcc_arch"] = ["-wrapper", "sh"]
    raw["hardware"]["runners"] = [{"tool": "copy", "volume": "../../etc"}]
    with pytest.raises(TargetError) as caught:
        emit(replace(net, board=msgspec.convert(raw, type(net.board))))
    assert len(caught.value.problems) == 3  # two flags and the volume, all at once


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("title", "a */ INCLUDE /etc/passwd /*"),
        ("title", "a\\nb"),
        ("title", "a\\u001b[2J"),
        ("title", "\\u202eabc"),
        ("title", "<b>"),
        ("title", "x" * 300),
        ("url", "javascript:alert(1)"),
        ("url", "https://a b"),
    ],
)
def test_text_of_a_board_is_of_listed_characters(key: str, value: str, tmp_path: Path) -> None:
    text = (ROOT / "boards" / "nucleo-l4r5zi.toml").read_text()
    changed = re.sub(rf'^{key} = ".*"$', lambda _: f'{key} = "{value}"', text, flags=re.MULTILINE)
    (tmp_path / "nucleo-l4r5zi.toml").write_text(changed)
    with pytest.raises(TargetError) as caught:
        snnstack.compile(small(), str(tmp_path / "nucleo-l4r5zi.toml"))
    (problem,) = caught.value.problems
    assert problem.what.startswith(f"board 'nucleo-l4r5zi': {key} = '")
    assert ", expected " in problem.what and str(problem).isprintable()


def test_hostile_events_change_nothing_of_a_run(firmware: Program) -> None:
    """The names of the network do not enter its numbers."""
    plain = {key: f"n{k}" for k, key in enumerate(k for k in NAMES if NAMES[k])}
    x = (np.random.default_rng(0).random((1, 8, 3)) < 0.5).astype(np.uint8)
    other = snnstack.compile(network(plain), "nucleo-l4r5zi")
    runs = [snnstack.emulate(p, {"x": x}).spikes for p in (firmware, other)]
    for one, two in zip(*(run.values() for run in runs), strict=True):
        np.testing.assert_array_equal(one.dense(), two.dense())
