"""Partition, place and route: pure functions that targets share."""
