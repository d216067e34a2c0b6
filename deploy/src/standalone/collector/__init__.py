"""A small OTLP/HTTP receiver: spans become lines of JSON in a file, and traces can be looked at."""
