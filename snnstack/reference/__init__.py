"""Reference runs: plain numpy, dense, short enough to read as the specification."""

from snnstack.reference.run import run_quantized, run_steps

__all__ = ["run_quantized", "run_steps"]
