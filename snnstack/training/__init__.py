"""Training with surrogate gradients, of the float network or of what a target computes."""

from snnstack.training.checkpoint import Checkpoint
from snnstack.training.recipe import Goals, Recipe
from snnstack.training.target import OnTarget, fit, qat, torch_module, trained

__all__ = ["Checkpoint", "Goals", "OnTarget", "Recipe", "fit", "qat", "torch_module", "trained"]
