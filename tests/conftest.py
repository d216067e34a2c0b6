"""Fixtures for everybody; they live in `tests/support`."""

pytest_plugins = ["support.servers"]
