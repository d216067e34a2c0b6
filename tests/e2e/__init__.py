"""A task through the whole road; a package, so that its one platform ends with its last test."""
