"""A stand-in for Qlik Sense: engine, repository and Cloud endpoints over real tables, for tests and the demo.

It speaks Qlik's public protocols and imports nothing of the client that is tested against it.
"""
