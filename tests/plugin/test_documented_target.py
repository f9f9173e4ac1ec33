"""The target in docs/adding-a-target.md works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package `tiny`, as pip would have installed it."""
    text = (ROOT / "docs" / "adding-a-target.md").read_text()
    code, board, entries = (
        re.findall(rf"```{kind}\n({start}.*?)```", text, re.DOTALL)[0]
        for kind, start in (
            ("python", '"""tiny'),
            ("toml", "name = "),
            ("toml", r"\[project\.entry-points"),
        )
    )
    folder = tmp_path_factory.mktemp("site")
    (folder / "tiny").mkdir()
    (folder / "tiny" / "__init__.py").write_text(code)
    (folder / "tiny" / "tiny-1.toml").write_text(board)
    about = folder / "tiny-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
    groups = re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", entries)
    (about / "entry_points.txt").write_text(groups.replace('"tiny"', "tiny"))
    return folder


def test_it_compiles_and_verifies(package: Path, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(package), str(ROOT), os.environ.get("PYTHONPATH", "")])
    for arguments in (
        ("compile", EXAMPLES / "digits.nir", "--board", "tiny-1", "-o", "program"),
        ("verify", "program", "--data", EXAMPLES / "digits_test.npz", "--samples", "2"),
    ):
        command = [sys.executable, "-c", "from snnstack.cli import main; main()"]
        done = subprocess.run(
            [*command, *map(str, arguments), "--json"], capture_output=True, text=True,
            cwd=tmp_path, check=False, timeout=200, env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mismatches"] == 0
    manifest = json.loads((tmp_path / "program" / "manifest.json").read_text())
    assert (manifest["target"], manifest["board"]) == ("tiny", "tiny-1")
