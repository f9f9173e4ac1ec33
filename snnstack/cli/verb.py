"""What all verbs share: files are foreign unless the user vouches, and inputs are never written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

LIBRARIES = {
    **dict.fromkeys((".nir", ".net", ".h5", ".hdf5"), "h5py"),
    ".onnx": "onnx",
    ".aedat4": "aedat",
}
"""What files are read through, by their endings."""
NO_FILES = ("title",)
"""Parameters whose text names nothing on the disk."""


class OutputFile(click.Path):
    """A file that a verb writes, with one of `endings`."""

    def __init__(self, *endings: str) -> None:
        super().__init__(path_type=Path)
        self.endings = endings


class OutputDirectory(click.Path):
    """A directory that a verb writes."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)


class Verb(click.Command):
    """A command with `--trust` whose outputs are checked, before it runs, against its inputs."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        text = "Read models and data in this process, without limits of time and memory: for "
        text += "files that you trust."
        self.params.append(click.Option(["--trust"], is_flag=True, help=text))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but no option is empty or silently given twice.

        An empty path would be this folder.
        """
        found, _, order = self.make_parser(ctx).parse_args(list(args))
        for option in order:
            value = found.get(str(option.name))
            if "" in (value if isinstance(value, tuple | list) else (value,)):
                raise click.BadParameter("is empty", ctx, option)
            single = not (option.multiple or getattr(option, "is_flag", False))
            if single and (times := order.count(option)) > 1:
                raise click.BadParameter(f"is given {times} times", ctx, option)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        from snnstack.foreign import prepare, trusting
        from snnstack.outputs import check_outputs

        trust = bool(ctx.params.pop("trust"))
        inputs = list(self._inputs(ctx))
        check_outputs(list(self._outputs(ctx)), inputs)
        needed = {LIBRARIES[path.suffix] for path in inputs if path.suffix in LIBRARIES}
        if needed and not trust:
            prepare(*needed)  # it starts while this process loads what it needs
        with trusting(trust):
            return super().invoke(ctx)

    def _outputs(self, ctx: click.Context) -> Iterator[Any]:
        from snnstack.outputs import Output

        for option in self.params:
            path = ctx.params.get(str(option.name))
            if path is not None and isinstance(option.type, OutputFile):
                yield Output(path, option.type.endings)
            elif path is not None and isinstance(option.type, OutputDirectory):
                yield Output(path)

    def _inputs(self, ctx: click.Context) -> Iterator[Path]:
        from snnstack.frontends.spec import places

        for option in self.params:
            written = isinstance(option.type, OutputFile | OutputDirectory)
            value = None if written or option.name in NO_FILES else ctx.params.get(str(option.name))
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str | Path):
                    yield from places(str(text))
