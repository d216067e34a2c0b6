"""One verb each: load, decide, apply."""
