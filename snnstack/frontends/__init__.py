"""Adapters to the files and libraries that networks and data come from."""
