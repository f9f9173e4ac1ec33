"""Pages of the documentation that are made from the code, and links that leave the folder.

A hook of MkDocs. One page per target: what stands in `docs/targets/<target>.md`, if anything,
then its limits (the sentences of its rules), its numbers and its boards. Nothing is written to
the source tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

DECISIONS = Path(__file__).resolve().parents[1] / "docs" / "decisions"
REFERENCE = {
    "verbs": ("The package", "snnstack.api", ("compile", "bench", "bench_program")),
    "running": ("Running", "snnstack.running", (
        "emulate", "emulate_batches", "verify", "verify_reference",
    )),
    "loading": ("Loading", "snnstack.loading", ("load", "discretised")),
    "building": ("Building", "snnstack.building", ("build", "build_each", "Build")),
    "saving": ("Saving", "snnstack.saving", ("save", "save_all", "open_program")),
    "data": ("Samples and traces", "snnstack.trace", ("Spikes", "Trace", "Counts")),
    "model": ("Models", "snnstack.ir.step", (
        "StepGraph", "Population", "Projection", "Dense", "Sparse", "Conv", "Pool",
    )),
    "energy": ("Energy", "snnstack.energy.model", (
        "Energy", "Component", "Factor", "Term", "Band",
    )),
    "reports": ("Reports", "snnstack.report.bench", ("BenchRow", "BenchRefusal")),
    "opponent": ("A network without spikes", "snnstack.measure.subject", ("Ann",)),
    "views": ("Pictures", "snnstack.report.views", ("CoreMap", "Core", "MemoryMap", "matrix")),
    "target": ("The seam", "snnstack.target", ("Backend", "Compiler", "Emulator")),
}  # fmt: skip
"""Page: its title, the module, the names it shows."""
OUTSIDE = re.compile(r"\]\((?:\.\./)+(?!docs/)([^)#]+)(?:#[^)]*)?\)")
"""A link to a file of the source tree, which the site does not hold."""


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    from snnstack.target import backend, target_names

    present = {file.src_uri for file in files}
    made = {f"reference/{name}.md": reference(name) for name in REFERENCE}
    made["reference/index.md"] = reference_index()
    made["targets/index.md"] = targets_index()
    made["decisions/index.md"] = decisions_index()
    for target in target_names():
        if f"targets/{target}.md" not in present:
            about = (getattr(backend(target), "__doc__", "") or "").strip()
            made[f"targets/{target}.md"] = f"# {target}\n\n{about}\n"
    for name, content in sorted(made.items()):
        files.append(File.generated(config, name, content=content))
    config.nav = [_filled(entry, files) for entry in config.nav]
    return files


def _filled(entry: Any, files: Any) -> Any:
    """A navigation entry; a folder becomes the list of its pages, the index first."""
    if isinstance(entry, dict):
        return {name: _filled(inner, files) for name, inner in entry.items()}
    if isinstance(entry, list):
        return [_filled(inner, files) for inner in entry]
    if not str(entry).endswith("/"):
        return entry
    pages = [f.src_uri for f in files.documentation_pages() if f.src_uri.startswith(entry)]
    return sorted(pages, key=lambda page: (not page.endswith("index.md"), page))


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Rules after the text of a target's page; links to source files become plain names."""
    from snnstack.target import target_names

    folder, _, name = page.file.src_uri.rpartition("/")
    target = name.removesuffix(".md")
    if folder == "targets" and target in target_names():
        markdown = f"{markdown.rstrip()}\n\n{target_facts(target)}"
    markdown = markdown.replace("](decisions/)", "](decisions/index.md)")
    return OUTSIDE.sub(lambda match: f"] (`{match[1]}`)", markdown)


def target_facts(target: str) -> str:
    """Limits, numbers and boards of a target, from its backend and its board files."""
    from snnstack.board import all_boards
    from snnstack.target import backend

    machine = backend(target)
    rules = "\n".join(f"* {sentence}" for sentence in sentences(machine.RULES))
    numbers = "\n".join(f"| `{k}` | {v} |" for k, v in asdict(machine.NUMERICS).items())
    boards = "\n".join(
        f"| `{b.name}` | {b.title} | {b.clock.value / 1e6:g} MHz | {b.status} |"
        for b in all_boards()
        if b.target == target
    )
    return (
        "## What compile checks\n\nEvery rule that a network does not meet is named, all at once"
        f" (generated from the code):\n\n{rules}\n\n"
        f"## Numbers\n\n| | |\n| --- | --- |\n{numbers}\n\n"
        "## Boards\n\n| board | what | clock | least certain figure |\n| --- | --- | --- | --- |\n"
        f"{boards}\n"
    )


def sentences(rules: Any) -> Iterator[str]:
    """The first paragraph of every rule's docstring."""
    for rule in rules:
        text = (rule.__doc__ or rule.__name__).strip().partition("\n\n")[0]
        yield " ".join(text.split())


def targets_index() -> str:
    """All targets in a table."""
    from snnstack.board import all_boards
    from snnstack.target import backend, target_names

    rows = []
    for target in target_names():
        about = (getattr(backend(target), "__doc__", "") or "").strip().splitlines()
        count = sum(board.target == target for board in all_boards())
        rows.append(f"| [{target}]({target}.md) | {about[0] if about else ''} | {count} |")
    head = "# Targets\n\n| target | what | boards |\n| --- | --- | --- |\n"
    return head + "\n".join(rows) + "\n"


def decisions_index() -> str:
    """The decisions by their headlines."""
    rows = []
    for file in sorted(DECISIONS.glob("*.md")):
        title = file.read_text().splitlines()[0].lstrip("# ")
        rows.append(f"* [{title}]({file.name})")
    return "# Decisions\n\nChoices that are hard to undo.\n\n" + "\n".join(rows) + "\n"


def reference(name: str) -> str:
    """A page of the API reference: docstrings, whose examples run in the tests."""
    title, module, names = REFERENCE[name]
    parts = "\n\n".join(f"::: {module}.{item}" for item in names)
    return f"# {title}\n\nFrom `{module}`.\n\n{parts}\n"


def reference_index() -> str:
    """The list of reference pages."""
    rows = "\n".join(
        f"* [{title}]({name}.md): " + ", ".join(f"`{item}`" for item in names)
        for name, (title, _, names) in REFERENCE.items()
    )
    text = "Made from docstrings. Their examples run with the tests (`pytest --doctest-modules`)."
    return f"# Reference\n\n{text}\n\n{rows}\n"
