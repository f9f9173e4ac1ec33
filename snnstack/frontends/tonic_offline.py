"""A set of tonic's, opened without downloading: what it must be told is asked for by name."""

from __future__ import annotations

import inspect
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from snnstack.errors import DataError, SnnstackError, ToolError, fail
from snnstack.frontends.spec import Spec

SPLITS = {
    "DSEC": ("train", "test"),
    "EBSSA": ("labelled",),
    "ThreeET_Eyetracking": ("train", "val"),
}
"""Splits of the sets that call them by name; `train` or not is the choice of the others."""
FIXED = {"single_digits": True, "data_selection": "events_left"}
"""Arguments of sets that hold more than one recording of one class each."""
DOWNLOADS = ("download_url", "download_and_extract_archive", "download_file_from_google_drive")


def opened_set(path: Path, spec: Spec) -> Any:
    """The set as tonic finds it in `path`; DataError instead of a download."""
    kind = _kind(spec)
    arguments = _arguments(kind, spec)
    missing = _missing(kind, path, spec)

    def download(*_: Any, **__: Any) -> None:
        raise missing

    offline = type(kind.__name__, (_Part, kind), {"download": download})
    try:
        with _offline(kind, download):
            return offline(str(path), **arguments)
    except (SnnstackError, MemoryError):
        raise
    except (SystemExit, FileNotFoundError) as error:
        raise missing from error
    except ImportError as error:
        what = f"needs {error.name or error} to open {spec.place}"
        raise fail(ToolError, "tonic", what, f"pip install {error.name}") from error
    except Exception as error:  # tonic raises RuntimeError, AssertionError, and those of its tools
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"tonic cannot open {spec.place}: {reason}"
        raise fail(DataError, str(path), what, "unpack the whole set there") from error


class _Part:
    """A set is there if some of its recordings are unpacked; `partial`: tonic wants more of them.

    The archive that they came from need not be kept.
    """

    location_on_system: str
    folder_name: str
    partial = False

    def _is_file_present(self) -> bool:
        unpacked = Path(self.location_on_system, self.folder_name)
        if any(found.is_file() for found in unpacked.glob("**/*")):
            return True
        return bool(super()._is_file_present())  # type: ignore[misc]

    def _folder_contains_at_least_n_files_of_type(self, n_files: int, file_type: str) -> bool:
        enough: Callable[[int, str], bool]
        enough = super()._folder_contains_at_least_n_files_of_type  # type: ignore[misc]
        if enough(n_files, file_type):
            return True
        self.partial = enough(1, file_type)
        return self.partial


def _kind(spec: Spec) -> Any:
    try:
        import tonic.datasets
    except ImportError as error:
        hint = "pip install 'snnstack[data]'"
        raise fail(ToolError, "tonic", f"is needed for {spec.place}", hint) from error
    names = sorted(tonic.datasets.__all__)
    if spec.place not in names:
        what = f"tonic has no set {spec.place!r}"
        raise fail(DataError, spec.text, what, f"there are: {', '.join(names)}")
    return getattr(tonic.datasets, spec.place)


def _arguments(kind: Any, spec: Spec) -> dict[str, Any]:
    """What the set is told of its split and recording; DataError where the user has to say it."""
    takes = inspect.signature(kind.__init__).parameters
    given = {name: value for name, value in FIXED.items() if name in takes}
    split, recording = spec.options.get("split"), spec.options.get("recording")
    if "train" in takes:
        given["train"] = _one_of(spec, "split", split, ("train", "test")) == "train"
    elif "split" in takes:
        known = SPLITS.get(spec.place, ("train", "test"))
        given["split"] = _one_of(spec, "split", known[0] if len(known) == 1 and split is None
                                 else split, known)  # fmt: skip
    elif split is not None:
        raise fail(DataError, spec.text, f"{spec.place} has no split {split!r}", "leave split out")
    which = next((name for name in ("recording", "scene") if name in takes), None)
    if which is not None:
        known = tuple(getattr(kind, "recordings", None) or getattr(kind, "resources", None) or ())
        given[which] = _one_of(spec, "recording", recording, known)
    elif recording is not None:
        raise fail(DataError, spec.text, f"{spec.place} has no recordings by name", "leave it out")
    return given


def _one_of(spec: Spec, key: str, value: str | None, known: tuple[str, ...]) -> str:
    if value in known:
        return str(value)
    what = f"says no {key}" if value is None else f"{spec.place} has no {key} {value!r}"
    raise fail(DataError, spec.text, what, f"{key}= is one of: {', '.join(known)}")


def _missing(kind: Any, path: Path, spec: Spec) -> SnnstackError:
    """What to download by hand, from where and to where."""
    files = [getattr(kind, name, None) for name in ("filename", "train_filename", "file_name")]
    address = [getattr(kind, name, None) for name in ("url", "base_url")]
    file = next((f for f in files if isinstance(f, str)), None)
    source = next((a for a in address if isinstance(a, str)), None)
    wanted = file or spec.options.get("recording") or "the whole set"
    place = path if spec.place == "NERDD" else path / ("smnist" if spec.place == "SMNIST"
                                                       else spec.place)  # fmt: skip
    hint = f"nothing is downloaded; put {wanted}{f' of {source}' if source else ''} "
    hint += f"into {place} and unpack it there"
    what = f"does not hold all of {spec.place} as tonic wants it"
    return fail(DataError, str(path), what, hint)


@contextmanager
def _offline(kind: Any, download: Callable[..., None]) -> Iterator[None]:
    """The module of `kind` downloads nothing and prints nothing."""
    module = inspect.getmodule(kind)
    kept: Mapping[str, Any] = {n: getattr(module, n) for n in DOWNLOADS if hasattr(module, n)}
    vars(module).setdefault("exit", sys.exit)  # which an interactive Python has everywhere
    before = os.environ.get("IMAGEIO_NO_INTERNET")
    os.environ["IMAGEIO_NO_INTERNET"] = "1"
    try:
        for name in kept:
            setattr(module, name, download)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        for name, function in kept.items():
            setattr(module, name, function)
        if before is None:
            del os.environ["IMAGEIO_NO_INTERNET"]
        else:
            os.environ["IMAGEIO_NO_INTERNET"] = before
