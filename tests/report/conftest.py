"""The fixtures of the command line's tests."""

from tests.cli.conftest import data, model, program, run

__all__ = ["data", "model", "program", "run"]
