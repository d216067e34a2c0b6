"""Standalone mode: real servers as child processes on loopback, and the services beside them."""
