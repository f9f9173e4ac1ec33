"""From the images of elements to the files of their firmware: C text and data, deterministic."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING

from snnstack.backends.spinnaker2.element_layout import (
    FIRES,
    HEADER,
    SLOTS,
    SUBTRACT,
    Image,
    has_currents,
    has_delays,
)
from snnstack.backends.spinnaker2.network import Application
from snnstack.program import digest

if TYPE_CHECKING:
    from jinja2 import Environment

SRAM_BYTES = 128 * 1024
"""Memory of a processing element; it begins at address 0."""
DATA = 32 * 1024
"""Where data begins; below are code and stack."""
STACK_BYTES = 4096
LINK_SCRIPT = "element.ld"
_DIGEST = "@digest@"


def emit_elements(images: Iterable[Image]) -> dict[str, bytes]:
    """{path: content}: C for each application in use, and the data of every element.

    Depends on nothing but the images and the version of this package. The banner's digest is
    that of the files with the digest left out.
    """
    images = tuple(images)
    files = {data_file(k): image.data for k, image in enumerate(images)}
    text = {LINK_SCRIPT: _render("element_link.ld.j2"), "element_data.h": _render("element_data.h.j2")}
    for application in sorted({image.application for image in images}):
        text[source_file(application)] = _render(
            "element.c.j2",
            application=application,
            delays=has_delays(application),
            currents=has_currents(application),
            conv=application == "lif_conv2d",
        )
    files |= {path: content.encode() for path, content in text.items()}
    mark = digest(files)[:16].encode()
    return {path: files[path].replace(_DIGEST.encode(), mark) if path in text else files[path]
            for path in files}  # fmt: skip


def data_file(number: int) -> str:
    """The file that is written to the data SRAM of element `number`."""
    return f"element_{number:05d}.bin"


def source_file(application: Application) -> str:
    """The C file of an application."""
    return f"{application}.c"


def _render(template: str, **values: object) -> str:
    version = metadata.version("snnstack")
    context = {
        "banner": f"/* Written by snnstack {version}; digest {_DIGEST}. */",
        "header": HEADER, "data": DATA, "stack": STACK_BYTES, "slots": SLOTS,
        "subtract": SUBTRACT, "fires": FIRES,
    }  # fmt: skip
    return _environment().get_template(template).render(context | values)


@functools.cache
def _environment() -> Environment:
    """The templates, strict: a name that is not given is an error."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("snnstack.backends.spinnaker2", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
