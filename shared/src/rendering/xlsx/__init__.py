"""The xlsx part editor."""
