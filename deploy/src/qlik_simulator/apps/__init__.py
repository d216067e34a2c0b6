"""Apps: what they are made of, and where their data comes from."""
