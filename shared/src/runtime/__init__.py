"""What every service needs to run: bus, store, object store, mail, telemetry, health.

Imports `contracts`, never a service.
"""
