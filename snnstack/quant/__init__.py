"""Quantisation: what a target can represent, and the integers that come closest."""
