"""Training with surrogate gradients, of the float network or of what a target computes."""

from snnstack.training.target import OnTarget, qat, torch_module, trained

__all__ = ["OnTarget", "qat", "torch_module", "trained"]
