"""The associative model, its expressions and its cubes: pure, without clock, sockets or files."""
