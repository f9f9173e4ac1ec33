"""Mapping: from populations to cores. Pure functions from data to data, for every target."""
