"""Decides when an execution is over and how it went, and tells those who want to know."""
