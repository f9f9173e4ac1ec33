"""Names as a file of someone else may hold them, and a small network that carries them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from snnstack.ir.graph import Edge, Graph
from snnstack.ir.nodes import LI, LIF, Affine, Input, Output

NAMES = {
    "comment end": "a */ int x; /*",
    "split comment end": "a *\\/ *\\\n/ b",
    "line continued": "goes on \\",
    "trigraph": "a ??/",
    "newline": "a\n#error one\r\n#error two\u2028three",
    "quotes": '""" + __import__(\'os\').system(\'true\') + """ \'',
    "f-string": "{0} {x!r} {{ 7 * 7 }} {% raw %}",
    "format": "%s%n%08x $(id) ${HOME} `id` @VAR@ $ENV{HOME}",
    "html": "<script>alert(1)</script><img src=x onerror='alert(1)'>&lt;",
    "markdown": "| a | [b](javascript:x) ![c](x) `d` <b>",
    "bidi": "a\u202eb\u2066c\u200fd",
    "terminal": "a\x1b[2J\x1b]0;title\x07b\x9bc\x7f",
    "null": "a\x00b",
    "path": "../../x/../y",
    "absolute": "/etc/passwd",
    "spice": "a\n.control\nshell true\n.endc",
    "formula": "=cmd|' /C true'!A0",
    "keyword": "int",
    "python keyword": "class",
    "digits": "1",
    "unicode": "\u03bc-\u96ea-\U0001f9e0",
    "dots": "..",
    "empty": "",
    "blank": " ",
    "long": "x" * 5000,
    "long too": "x" * 5000 + "y",
    "collides": "a b",
    "collides too": "a-b",
    "size": "x_size",
    "layer size": "layer_x",
    "layer": "layer_x_size",
    "input": "input",
    "surrogate": "a\ud800b",
    "linker": "*/ INCLUDE /etc/passwd INPUT(x) /*",
    "cmake": "a]==] )\nexecute_process(COMMAND true) #[==[",
}
"""{what is bad about it: the name}."""

MODELS = (
    "memory", "startup", "main", "test", "all", "clean", "help", "install", "selftest", "semihost",
    "harness", "timer", "stdint", "string", "math", "stdio", "snn_kernels", "snn", "ann", "update",
    "c", "m", "gcc", "link", "profile", "int", "class", "for", "if", "endif", "none", "def",
    "nul", "con", "aux", "src", "include", "board", "net", "state", "s", "x", "1", "3x3", "input",
    "output", "weights", "arduino", "esp_err", "zephyr", "errno", "NULL", "EOF", "linux", "unix",
    "n", "i", "v", "run", "golden", "events", "step",
)  # fmt: skip
"""Names of model files that other things have already."""

N = 3


def network(names: dict[str, str], title: str = "net") -> Graph:
    """Input of `N` elements, then a chain of LIF of `N` neurons by these names, a read-out."""
    weight = np.full((N, N), 0.5) + np.eye(N)
    ones = np.ones(N)
    kept = [name for name in names.values() if name]
    nodes: dict[str, object] = {"in": Input((N,), "binary")}
    order = ["in"]
    for number, name in enumerate(kept):
        nodes[f"w{number}"] = Affine(weight, np.zeros(N))
        nodes[name] = LIF(0.01 * ones, ones, 0 * ones, 0 * ones, 0.1 * ones)
        order += [f"w{number}", name]
    nodes["wo"] = Affine(weight, np.zeros(N))
    nodes["readout"] = LI(0.01 * ones, ones, 0 * ones)
    nodes["out"] = Output((N,))
    order += ["wo", "readout", "out"]
    edges = tuple(Edge(a, b) for a, b in pairwise(order))
    return Graph(nodes, edges, dt=0.001, metadata={"name": title})  # type: ignore[arg-type]
