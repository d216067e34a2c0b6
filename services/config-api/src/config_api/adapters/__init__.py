"""The ports of config-api kept with MongoDB, the object store and argon2."""
