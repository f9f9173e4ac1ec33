"""What is installed is `snnstack`, all of it, and nothing beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
LINKED = ("backends", "boards", "compilers", "emulators")
SKIPPED = shutil.ignore_patterns("__pycache__", "*.egg-info")


def packages_on_disk() -> set[str]:
    """Every folder with an __init__.py, under the name it is imported by."""
    roots = {"snnstack": ROOT / "snnstack"} | {f"snnstack.{name}": ROOT / name for name in LINKED}
    found = set()
    for prefix, root in roots.items():
        for file in root.rglob("__init__.py"):  # does not follow links
            inner = file.parent.relative_to(root)
            found.add(".".join((prefix, *inner.parts)))
    return found


def source_files() -> set[str]:
    """The paths in the wheel that the sources should give."""
    links = {f"snnstack/{name}/": name for name in LINKED}
    own = [f for pattern in ("*.py", "templates/*.j2") for f in (ROOT / "snnstack").rglob(pattern)]
    wanted = {file.relative_to(ROOT).as_posix() for file in own}
    wanted = {name for name in wanted if not name.startswith(tuple(links))}
    for prefix, folder in links.items():
        for pattern in ("*.py", "*.toml", "templates/*.j2"):
            files = (ROOT / folder).rglob(pattern)
            wanted |= {prefix + file.relative_to(ROOT / folder).as_posix() for file in files}
    wanted = {name for name in wanted if "__pycache__" not in name}
    return wanted | {"snnstack/py.typed"}


def test_every_package_is_listed() -> None:
    assert set(SETUPTOOLS["packages"]) == packages_on_disk()


@pytest.mark.parametrize("name", LINKED)
def test_links_are_relative(name: str) -> None:
    assert (ROOT / "snnstack" / name).readlink() == Path("..") / name


def test_the_version_is_written_once() -> None:
    assert version("snnstack") == PROJECT["project"]["version"]


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path, links: bool) -> None:
    """A checkout without symbolic links has a text file where the link was."""
    source = tmp_path / "source"
    for name in ("snnstack", *LINKED):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=SKIPPED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in () if links else LINKED:
        (source / "snnstack" / name).unlink()
        (source / "snnstack" / name).write_text(f"../{name}")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "-w", str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = {name for name in names if ".dist-info/" in name}
    assert names - info == source_files()
    assert any(name.endswith("licenses/LICENSE") for name in info)


def test_boards_and_templates_can_be_found_once_installed() -> None:
    from importlib import resources

    boards = {item.name for item in resources.files("snnstack.boards").iterdir()}
    assert {file.name for file in (ROOT / "boards").glob("*.toml")} <= boards
    templates = resources.files("snnstack.backends.mcu") / "templates"
    assert any(item.name.endswith(".j2") for item in templates.iterdir())
