"""A package, so that `tests.strategies` is ours even where another package installs a `tests`."""
