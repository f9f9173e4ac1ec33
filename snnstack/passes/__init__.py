"""Passes: from what was trained, step by step, to what a target can start from."""
