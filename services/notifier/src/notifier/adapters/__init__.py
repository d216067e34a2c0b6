"""The ports, on MongoDB and the object store."""
