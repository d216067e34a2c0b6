"""What the distributor does: load, decide, apply."""
