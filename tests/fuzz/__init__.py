"""Damaged inputs of every kind: whatever is read is accepted or refused by us, in bounded time."""
