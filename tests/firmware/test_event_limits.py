"""Lists of events that break the limits of the header: dropped and counted, nothing overwritten."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnstack.backends.mcu.door import counter_bits, most_events, safe_events
from snnstack.backends.mcu.emit import emit
from snnstack.backends.mcu.layout import plan
from snnstack.backends.mcu.program import DenseTable, Program, Route
from snnstack.files import write_directory
from tests.firmware.firmware_model import layer, needs_gcc, port, program, sparse, weights
from tests.firmware.test_firmware import CASES, M4, M55, everything

SANE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g")
KINDS = (
    "dense", "dense with narrow sums", "sparse", "convolution, padding", "overlapping pool",
    "delays", "delayed counts", "recurrent", "counts",
)  # fmt: skip


def networks() -> dict[str, Program]:
    found = {name: program(M4, *CASES[name]) for name in KINDS if name in CASES}  # type: ignore[misc]
    heavy = np.full((700, 16), 127, np.int8)
    heavy[40:] = 0  # the proof: 40 different elements, at most 5,080
    narrow = {"accumulator_bits": 16, "threshold": 32_000}
    many = np.array(sparse(700, 16).weight)
    found |= {
        "wraps": program(
            M4, (layer("out", (16,), Route("in", 0, DenseTable(heavy)), **narrow),),
            port((700,), name="in")),
        "wraps, sparse": program(
            M4, (layer("out", (16,), Route("in", 0, replace(sparse(700, 16), weight=many // 7)),
                       **narrow),), port((700,), name="in", max_count=3)),
        "wide events": program(
            M4, (layer("out", (4,), Route("in", 0, DenseTable(weights(70_000, 4)))),),
            port((70_000,), name="in")),
        "all numbers": program(
            M4, (layer("out", (4,), Route("in", 0, DenseTable(weights(65_536, 4)))),),
            port((65_536,), name="in")),
        "above half": program(
            M4, (layer("out", (4,), Route("in", 0, DenseTable(weights(40_000, 4)))),),
            port((40_000,), name="in")),
        "everything": everything(M4),
    }  # fmt: skip
    return found


NETWORKS = networks()


def allowed(net: Program, events: list[int]) -> list[int]:
    """What the header says a step looks at."""
    inputs = int(np.prod(net.input.shape))
    kept = events[: most_events(net)]
    if plan(net).counted:  # its ring holds counts: the exact rule
        seen = Counter[int]()
        seen_before = [_count(seen, e) for e in kept]
        most = net.input.max_count
        return [e for e, k in zip(kept, seen_before, strict=True) if e < inputs and k <= most]
    inside = np.array([e for e in kept if e < inputs], dtype=np.int64)
    crowded = np.bincount(inside, minlength=1).max() > net.input.max_count
    if counter_bits(net) and len(kept) > safe_events(net) and crowded:
        kept = kept[: safe_events(net)]
    return [e for e in kept if e < inputs]


def _count(seen: Counter[int], event: int) -> int:
    seen[event] += 1
    return seen[event]


def abuses(net: Program) -> list[list[int]]:
    """One list a step: noise, too many, repeated, out of range, in every mixture and length."""
    rng, inputs = np.random.default_rng(5), int(np.prod(net.input.shape))
    most, top = most_events(net), 65_535 if inputs <= 65_536 else 2**32 - 1
    lists = [
        [], [0], [0] * 10, [0] * min(most + 7, 3000), [inputs - 1] * 5, [min(top, inputs)],
        [top] * 20, [0, min(top, inputs), 1, top, 2], list(range(min(inputs, 700))) * 2,
    ]  # fmt: skip
    for length in range(1, 34):
        beyond = rng.integers(0, min(2 * inputs, top + 1), length)
        lists.append([int(e) for e in beyond])
        lists.append(sorted(int(e) for e in rng.integers(0, inputs, length)))
    lists.append([int(e) for e in rng.integers(0, inputs, min(most + 50, 3000))])
    return [*lists, [], [0, 0, 0]]


def run(folder: Path, net: Program, steps: list[list[int]], *flags: str) -> list[list[int]]:
    """Per step: dropped so far, then every membrane; the lists stand in exact allocations."""
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    if not (folder / "p").exists():
        write_directory(emit(net), folder / "p")
    flat = ", ".join(str(e) for step in steps for e in step) or "0"
    sizes = ", ".join(str(x.n) for x in net.layers)
    (folder / "main.c").write_text(
        '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include "net.h"\n'
        f"static const net_event all[] = {{ {flat} }};\n"
        f"static const uint32_t n[] = {{ {', '.join(str(len(s)) for s in steps)} }};\n"
        f"static const uint32_t sizes[] = {{ {sizes} }};\n"
        "int main(void) { net_state *s = malloc(sizeof *s); unsigned t, k, j, at = 0;\n"
        "  net_init(s);\n"
        f"  for (t = 0; t < {len(steps)}; t++) {{\n"
        "    char *room = malloc(n[t] * sizeof *all + 4); unsigned odd = t & 1;\n"
        "    net_event *e = malloc(n[t] * sizeof *e + 1); (void)room; (void)odd;\n"
        "    memcpy(e, all + at, n[t] * sizeof *e); at += n[t];\n"
        "    net_step(s, e, n[t]);\n"
        '    printf("%u", (unsigned)s->dropped);\n'
        "    for (k = 0; k < NET_LAYERS; k++) for (j = 0; j < sizes[k]; j++)\n"
        '      printf(" %d", (int)net_v(s, k)[j]);\n'
        '    printf("\\n"); free(e); free(room); }\n'
        "  free(s); return 0; }\n"
    )
    argv = [compiler, *SANE, *flags, "-Ip/include", "-Ip/src", "p/src/net.c",
            "p/src/net_weights.c", "main.c", "-o", "main"]  # fmt: skip
    subprocess.run(argv, cwd=folder, check=True, timeout=120)
    done = subprocess.run(
        [folder / "main"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [list(map(int, line.split())) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", NETWORKS)
def test_what_breaks_a_limit_is_dropped_and_counted(name: str, tmp_path: Path) -> None:
    """The same membranes as with lists that hold only what is allowed; nothing is overwritten."""
    net = NETWORKS[name]
    steps = abuses(net)
    clean = [allowed(net, step) for step in steps]
    found = run(tmp_path, net, steps)
    expected = run(tmp_path, net, clean)
    dropped = np.cumsum([len(a) - len(b) for a, b in zip(steps, clean, strict=True)])
    assert [row[0] for row in found] == dropped.tolist()
    assert [row[1:] for row in found] == [row[1:] for row in expected]
    assert dropped[-1] > 0 or name == "all numbers"


def test_a_sum_of_16_bits_never_wraps(tmp_path: Path) -> None:
    """700 times the heaviest element of a binary input: 88,900 would wrap."""
    net = NETWORKS["wraps"]
    assert counter_bits(net) == 1 and safe_events(net) == (2**15 - 1) // 127
    plain = replace(net, layers=(net.layers[0].with_lif(shift=0, threshold=None),))
    rows = run(tmp_path, plain, [[0] * 700, [], list(range(700))])
    assert rows[0][1] == 127 * safe_events(plain) > 0
    assert rows[0][0] == 700 - safe_events(plain) == rows[2][0]


def test_lists_that_are_allowed_are_whole_in_any_order(tmp_path: Path) -> None:
    """Long lists without a repetition too much, sorted or not, lose nothing."""
    rng, net = np.random.default_rng(0), NETWORKS["wraps, sparse"]
    assert counter_bits(net) == 2
    three = [int(e) for e in rng.permutation(np.repeat(np.arange(700), 3))]
    rows = run(tmp_path, net, [three, sorted(three), [*three[:-1], three[0]]])
    assert [row[0] for row in rows[:2]] == [0, 0] and rows[2][0] > 0


def test_a_ring_of_counts_has_a_byte_for_each_element_and_step() -> None:
    """Six inputs with up to 255 spikes, delays up to 40 steps: 41 * 6 bytes, not 125,460."""
    read = tuple(Route("in", d, DenseTable(weights(6, 5))) for d in (0, 1, 2, 5, 9, 40))
    net = program(
        M4, (layer("out", (5,), *read),), port((6,), name="in", history=41, max_count=255)
    )
    assert plan(net).counted
    assert b"uint8_t ring_input[41][6];" in emit(net)["include/net.h"]
    assert plan(net).state_bytes < 700


def test_a_checked_build_traps(tmp_path: Path) -> None:
    net = NETWORKS["dense"]
    run(tmp_path, net, [[0, 1, 2], []], "-DSNN_CHECK")
    with pytest.raises(AssertionError):
        run(tmp_path, net, [[0, 200]], "-DSNN_CHECK")


def test_reset_keeps_the_count_and_init_clears_it(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or pytest.skip("no host gcc (apt-get install gcc)")
    write_directory(emit(NETWORKS["dense"]), tmp_path / "p")
    (tmp_path / "main.c").write_text(
        '#include "net.h"\nstatic net_state s;\nint main(void) { net_event e = NET_INPUTS;\n'
        "  s.dropped = 5; net_init(&s); net_step(&s, &e, 1); net_reset(&s);\n"
        "  if (s.dropped != 1) return 1; net_init(&s); return (int)s.dropped; }\n"
    )
    argv = [compiler, *SANE, "-Ip/include", "-Ip/src", "p/src/net.c", "p/src/net_weights.c",
            "main.c", "-o", "main"]  # fmt: skip
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=60)
    assert subprocess.run([tmp_path / "main"], timeout=10, check=False).returncode == 0


@needs_gcc
@pytest.mark.needs_qemu
@pytest.mark.parametrize("board", [M4, M55, "microbit-v1", "hifive1-revb"])
def test_the_cores_own_instructions_find_every_number(board: str, tmp_path: Path) -> None:
    """In QEMU: each place of lists of 0 to 40 events, at both alignments."""
    from snnstack.backends.mcu.execute import execute_qemu
    from snnstack.backends.mcu.hardware import hardware
    from snnstack.backends.mcu.qemu import machine
    from snnstack.backends.mcu.run import library_sources, stand_in_sources
    from snnstack.backends.mcu.toolchain import build, find

    net = program(board, *CASES["dense"])  # type: ignore[misc]
    write_directory(emit(net), tmp_path / "p")
    (tmp_path / "p" / "test" / "door.c").write_text(
        '#include "semihost.h"\n#include "net.h"\nstatic net_state s;\n'
        "static union { uint32_t whole; net_event e[48]; } list;\n"
        "static const uint16_t bad[] = { NET_INPUTS, NET_INPUTS + 1, 0x7fff, 0x8000, 0xffff };\n"
        "int main(void) { uint32_t odd, n, k, b, wrong = 0; net_init(&s);\n"
        "  for (odd = 0; odd < 2; odd++) for (n = 0; n <= 40; n++)\n"
        "    for (k = 0; k <= n; k++) for (b = 0; b < 5; b++) { uint32_t j, before = s.dropped;\n"
        "      const uint32_t over = n > NET_MAX_EVENTS ? n - NET_MAX_EVENTS : 0;\n"
        "      for (j = 0; j < 48; j++) list.e[j] = (net_event)(j % NET_INPUTS);\n"
        "      if (k < n) list.e[odd + k] = bad[b];\n"
        "      net_step(&s, list.e + odd, n);\n"
        "      wrong += s.dropped - before != over + (k < n && k < NET_MAX_EVENTS); }\n"
        '  host_print(wrong ? "wrong\\n" : "right\\n"); host_exit(0); return 0; }\n'
    )
    hw = hardware(net.board)
    sources = [*library_sources(net), *stand_in_sources(hw), "test/door.c"]
    image = build(find(hw, "gcc"), tmp_path / "p", sources, "qemu/link.ld", "door.elf")
    assert execute_qemu(machine(hw.qemu_machine), image.elf, 120).text == "right\n"
