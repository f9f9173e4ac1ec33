"""Pieces of hardware, one TOML file each."""
