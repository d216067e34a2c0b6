"""What travels on the bus and what other services may read: the wire contracts.

Imports pydantic and nothing of ours, because other teams' consumers are built on it.
"""
