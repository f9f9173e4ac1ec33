"""Sweeps: many points of a grid, on every core or a cluster, never lost and never repeated."""
